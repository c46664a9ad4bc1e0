class Gptq(Module):
  # GPTQ (Frantar et al. 2022, arXiv 2210.17323) in TorchScript. Shapes: n inputs, rows outputs, G groups. Weights are
  # kept transposed, [n, rows], so that one column of the paper's W is one contiguous line here.
  # Types are numbers: 0 uint8, 6 float32, 7 float64, 5 float16.
  __parameters__ = []
  __buffers__ = []

  # H += x^T x over all tokens, the upper triangle only; x [..., n] in any floating type, H [n, n] float32. In place.
  # Blocks of `base` lines on the diagonal, and beside them squares that double in size: half the work of the whole
  # product, nearly all of it in large products.
  def accumulate(self: __torch__.Gptq, H: Tensor, x: Tensor, base: int) -> Tensor:
    n = torch.size(H, 0)
    flat = torch.reshape(x, [-1, n]).to(6)                                                       # [tokens, n]
    for i in range(0, n, base):
      j = min(i + base, n)
      _0 = torch.addmm_(H[i:j, i:j], torch.t(flat[:, i:j]), flat[:, i:j])
    width = base
    while width < n:
      for i in range(0, n - width, 2 * width):
        j = i + width
        k = min(j + width, n)
        _1 = torch.addmm_(H[i:j, j:k], torch.t(flat[:, i:j]), flat[:, j:k])
      width = 2 * width
    return H

  # The lower triangle of H made equal to the upper one. In place, a square at a time, so that lines stay in the cache.
  def mirrored(self: __torch__.Gptq, H: Tensor) -> Tensor:
    n = torch.size(H, 0)
    block = 256
    for i in range(0, n, block):
      i2 = min(i + block, n)
      D = torch.triu(H[i:i2, i:i2])
      _0 = torch.copy_(H[i:i2, i:i2], torch.add(D, torch.t(torch.triu(D, 1))))
      for j in range(i2, n, block):
        j2 = min(j + block, n)
        _1 = torch.copy_(H[j:j2, i:i2], torch.t(H[i:i2, j:j2]))
    return H

  def add_to(self: __torch__.Gptq, H: Tensor, other: Tensor) -> Tensor:
    return torch.add_(H, other)

  def diagonal(self: __torch__.Gptq, H: Tensor) -> Tensor:
    return torch.diagonal(H).to(7)                                                               # [n]

  # factor * H with rows and columns in the given order and another diagonal [n], which is in that order already.
  def arranged(self: __torch__.Gptq, H: Tensor, order: Tensor, factor: float, diagonal: Tensor) -> Tensor:
    n = torch.size(H, 0)
    K = torch.empty_like(H)
    for i in range(0, n, 256):
      lines = torch.index_select(H, 0, order[i:i + 256])
      _0 = torch.mul(torch.index_select(lines, 1, order), factor, out=K[i:i + 256])
    _1 = torch.copy_(torch.diagonal(K), diagonal)
    return K

  def identity_like(self: __torch__.Gptq, H: Tensor) -> Tensor:
    return torch.eye(torch.size(H, 0), dtype=6, device=H.device)

  # The upper Cholesky factor U of H^-1, that is H^-1 = U^T U, from one Cholesky and one triangular inverse of the
  # index-reversed H: with J the reversal, L L^T = J H J gives U = J L^-1 J. Takes K = J H J and consumes it: K turns
  # into L, its diagonal blocks inverted, and then into L^-1. The second result is 0 on success.
  # Both steps are blocked here, down to the products: LAPACK's own results change with the number of threads, and an
  # artifact must not. Only blocks on and below the diagonal are computed.
  def factor(self: __torch__.Gptq, K: Tensor) -> Tuple[Tensor, Tensor]:
    n = torch.size(K, 0)
    outer = 256
    failed = torch.zeros([], dtype=3, device=K.device)
    for i in range(0, n, outer):
      j = min(i + outer, n)
      failed = torch.maximum(failed, self.inverse_of_factor(K[i:j, i:j]))
      if j < n:
        P = torch.matmul(K[j:n, i:j], torch.t(K[i:j, i:j]))                                      # [n - j, outer]
        _0 = torch.copy_(K[j:n, i:j], P)
        for a in range(j, n, outer):
          b = min(a + outer, n)
          _1 = torch.addmm_(K[a:n, a:b], P[a - j:], torch.t(P[a - j:b - j]), beta=1, alpha=-1)
    for i in range(outer, n, outer):
      j = min(i + outer, n)
      P = torch.empty([j - i, i], dtype=6, device=K.device)
      for a in range(0, i, outer):
        _2 = torch.matmul(K[i:j, a:i], K[a:i, a:a + outer], out=P[:, a:a + outer])
      _3 = torch.neg_(torch.matmul(K[i:j, i:j], P, out=K[i:j, 0:i]))
    U = torch.zeros_like(K)
    for i in range(0, n, outer):
      j = min(i + outer, n)
      _4 = torch.copy_(U[n - j:n - i, n - j:n], torch.flip(K[i:j, 0:j], [0, 1]))
    return (U, failed.to(4))

  # L^-1 in place of K = L L^T, zeros above its diagonal; the result is 0 on success.
  def inverse_of_factor(self: __torch__.Gptq, K: Tensor) -> Tensor:
    n = torch.size(K, 0)
    block = 64
    failed = torch.zeros([], dtype=3, device=K.device)
    one = torch.eye(block, dtype=6, device=K.device)
    for i in range(0, n, block):
      j = min(i + block, n)
      L, info = torch.linalg_cholesky_ex(K[i:j, i:j])
      failed = torch.maximum(failed, info)
      D = torch.linalg_solve_triangular(L, one[0:j - i, 0:j - i], upper=False)
      _0 = torch.copy_(K[i:j, i:j], D)
      if j < n:
        P = torch.matmul(K[j:n, i:j], torch.t(D))                                                # [n - j, block]
        _1 = torch.copy_(K[j:n, i:j], P)
        _2 = torch.addmm_(K[j:n, j:n], P, torch.t(P), beta=1, alpha=-1)
    _3 = torch.tril_(K)
    for i in range(block, n, block):
      j = min(i + block, n)
      P = torch.matmul(K[i:j, 0:i], K[0:i, 0:i])                                                 # [block, i]
      _4 = torch.copy_(K[i:j, 0:i], torch.neg(torch.matmul(K[i:j, i:j], P)))
    return failed

  # The same factor of H itself by the three operations of the original program, in its order: equal up to rounding.
  def factor_in_three_steps(self: __torch__.Gptq, H: Tensor) -> Tuple[Tensor, Tensor]:
    L, first = torch.linalg_cholesky_ex(H)
    U, second = torch.linalg_cholesky_ex(torch.cholesky_inverse(L), upper=True)
    return (torch.contiguous(U), torch.maximum(first, second).to(4))

  # The step and zero point of each row for a range [low, high]; both [rows]. Unless told to follow the reference
  # programs, the step is what float16 can store, and the zero point is at least 1, since the v1 format has no 0.
  def step(self: __torch__.Gptq, low: Tensor, high: Tensor, maxq: int, sym: bool, reference: bool) -> Tuple[Tensor, Tensor]:
    scale = torch.div(torch.sub(high, low), maxq)
    if reference:
      if sym:
        return (scale, torch.full_like(scale, (maxq + 1) // 2))
      return (scale, torch.round(torch.div(torch.neg(low), scale)))
    scale = self.storable(scale)
    if sym:
      return (scale, torch.full_like(scale, (maxq + 1) // 2))
    zero = torch.round(torch.div(torch.neg(low), scale))
    shifted = self.storable(torch.maximum(torch.div(high, maxq - 1), torch.neg(low)))
    scale = torch.where(torch.lt(zero, 1), shifted, scale)
    return (scale, torch.clamp(zero, 1, maxq))

  # Rounded to float16, never 0 (the least subnormal instead) and never infinite.
  def storable(self: __torch__.Gptq, scale: Tensor) -> Tensor:
    return torch.clamp(torch.to(torch.clamp(scale, 5.9604644775390625e-08, 65504.), 5), 5.9604644775390625e-08).to(6)

  # round((w / scale) + zero) on the grid 0 .. maxq; a true division and ties to even, as the reference has it.
  def codes(self: __torch__.Gptq, w: Tensor, scale: Tensor, zero: Tensor, maxq: int) -> Tensor:
    return torch.clamp(torch.add(torch.round(torch.div(w, scale)), zero), 0, maxq)

  # Scale and zero point [rows] for the weights w [rows, g]. With exponent > 0, the best of 80 shrunken ranges by
  # sum |w - q|^exponent.
  def grid(self: __torch__.Gptq, w: Tensor, maxq: int, sym: bool, exponent: float, reference: bool) -> Tuple[Tensor, Tensor]:
    low = torch.clamp(torch.amin(w, [1]), None, 0.)
    high = torch.clamp(torch.amax(w, [1]), 0., None)
    if sym:
      high = torch.maximum(torch.abs(low), high)
      mirrored = torch.neg(high)
      if reference:
        low = torch.where(torch.lt(low, 0.), mirrored, low)
      else:
        low = mirrored
    empty = torch.logical_and(torch.eq(low, 0.), torch.eq(high, 0.))
    low = torch.masked_fill(low, empty, -1.)
    high = torch.masked_fill(high, empty, 1.)
    scale, zero = self.step(low, high, maxq, sym, reference)
    if exponent > 0.:
      best = torch.full_like(scale, 3.4028234663852886e+38)
      for k in range(80):
        p = 1. - k / 100.
        s, z = self.step(torch.mul(low, p), torch.mul(high, p), maxq, sym, reference)
        s1 = torch.unsqueeze(s, 1)
        z1 = torch.unsqueeze(z, 1)
        q = torch.mul(s1, torch.sub(self.codes(w, s1, z1, maxq), z1))
        error = torch.sum(torch.pow(torch.abs(torch.sub(q, w)), exponent), [1])
        better = torch.lt(error, best)
        best = torch.where(better, error, best)
        scale = torch.where(better, s, scale)
        zero = torch.where(better, z, zero)
    return (scale, zero)

  # The grids of all groups of W^T [n, rows], in column order: scale and zero, both [G, rows].
  def grids(self: __torch__.Gptq, Wt: Tensor, group: int, maxq: int, sym: bool, exponent: float, reference: bool) -> Tuple[Tensor, Tensor]:
    n = torch.size(Wt, 0)
    scales = annotate(List[Tensor], [])
    zeros = annotate(List[Tensor], [])
    for start in range(0, n, group):
      end = min(start + group, n)
      w = torch.contiguous(torch.t(Wt[start:end]))
      s, z = self.grid(w, maxq, sym, exponent, reference)
      _0 = torch.append(scales, s)
      _1 = torch.append(zeros, z)
    return (torch.stack(scales), torch.stack(zeros))

  # The solve. Wt [n, rows] is consumed: line i is the weight's column i until it is rounded, and its Err from then on.
  # Rows and columns of U, lines of Wt and groups [n] are in solve order; scale and zero [G, rows] are given, or, where
  # refresh > 0, made for each group of `refresh` columns from what the columns before it have left of the weights.
  # `step` columns are rounded one by one, each spreading its error over those after it within the step.
  # Then one product brings errors further. The reference programs update all columns to come with the errors of the
  # last step. Otherwise the columns are halved recursively: where the w columns of a left half are finished, their
  # errors go to the w columns of its right half. That is the same sum for each column, in the largest products possible.
  # Returns codes [n, rows] and the loss sum(((w - q) / U_cc)^2) / 2.
  def solve(self: __torch__.Gptq, Wt: Tensor, U: Tensor, scale: Tensor, zero: Tensor, groups: Tensor, refresh: int, maxq: int, sym: bool, exponent: float, reference: bool, step: int) -> Tuple[Tensor, Tensor]:
    n = torch.size(Wt, 0)
    rows = torch.size(Wt, 1)
    tile = rows
    if not Wt.is_cuda:
      tile = 2048                              # three such lines fit the first cache, and above it operators start threads
    codes = torch.empty([n, rows], dtype=0, device=Wt.device)
    Q = torch.empty([step, rows], dtype=6, device=Wt.device)
    norms = torch.empty([n], dtype=6, device=Wt.device)
    for i1 in range(0, n, step):
      i2 = min(i1 + step, n)
      if refresh > 0:
        for i in range(i1, i2):
          if i % refresh == 0:
            members = torch.contiguous(torch.t(Wt[i:min(i + refresh, n)]))
            s0, z0 = self.grid(members, maxq, sym, exponent, reference)
            _0 = torch.copy_(torch.select(scale, 0, i // refresh), s0)
            _1 = torch.copy_(torch.select(zero, 0, i // refresh), z0)
      S = torch.index_select(scale, 0, groups[i1:i2])                                            # [step, rows]
      Z = torch.index_select(zero, 0, groups[i1:i2])
      U1 = torch.contiguous(U[i1:i2, i1:i2])
      for r1 in range(0, rows, tile):
        r2 = min(r1 + tile, rows)
        _2 = self.columns(Wt[i1:i2, r1:r2], U1, S[:, r1:r2], Z[:, r1:r2], Q[0:i2 - i1, r1:r2], maxq, sym, reference)
      _3 = torch.copy_(codes[i1:i2], torch.add_(Q[0:i2 - i1], Z))
      _4 = torch.linalg_vector_norm(Wt[i1:i2], 2, [1], False, out=norms[i1:i2])
      if i2 < n:
        first = i1
        last = n
        if not reference:
          width = step
          while i2 % (2 * width) == 0:
            width = 2 * width
          first = i2 - width
          last = min(i2 + width, n)
        _5 = torch.addmm_(Wt[i2:last], torch.t(U[first:i2, i2:last]), Wt[first:i2], beta=1, alpha=-1)
    return (codes, torch.div(torch.sum(torch.square(norms.to(7))), 2.))

  # The columns of one step, for some rows. W [count, rows] turns into Err; Q gets the codes less the zero points, which
  # are clamped to what the codes' range 0 .. maxq leaves them: round(w / s) + z on the grid, as the reference has it.
  # Product and difference are one operation each, rounded once, unless the reference programs are to be followed.
  def columns(self: __torch__.Gptq, W: Tensor, U: Tensor, S: Tensor, Z: Tensor, Q: Tensor, maxq: int, sym: bool, reference: bool) -> Tensor:
    count = torch.size(W, 0)
    w = torch.unbind(W)
    s = torch.unbind(S)
    u = torch.unbind(U)
    uu = torch.unbind(torch.diagonal(U))
    q = torch.unbind(Q)
    lows = annotate(List[Tensor], [])
    highs = annotate(List[Tensor], [])
    middle = (maxq + 1) // 2
    if not sym:
      lows = torch.unbind(torch.neg(Z))
      highs = torch.unbind(torch.rsub(Z, maxq))
    for j in range(count):
      _0 = torch.round_(torch.div(w[j], s[j], out=q[j]))
      if sym:
        _1 = torch.clamp_(q[j], -middle, maxq - middle)
      else:
        _2 = torch.clamp_(q[j], lows[j], highs[j])
      if reference:
        _3 = torch.div_(torch.sub_(w[j], torch.mul(q[j], s[j])), uu[j])
        if j + 1 < count:
          _4 = torch.sub_(W[j + 1:], torch.mul(torch.unsqueeze(u[j][j + 1:], 1), w[j]))
      else:
        _5 = torch.div_(torch.addcmul_(w[j], q[j], s[j], value=-1), uu[j])
        if j + 1 < count:
          _6 = torch.addr_(W[j + 1:], u[j][j + 1:], w[j], beta=1, alpha=-1)
    return W

  # W^T [n, rows] in float32 from the weights [out, n] of several modules, stacked by rows.
  def stacked(self: __torch__.Gptq, weights: List[Tensor]) -> Tensor:
    return torch.contiguous(torch.t(torch.cat(weights, 0).to(6)))

  # x [n, rows] with some lines set to zero.
  def without_lines(self: __torch__.Gptq, x: Tensor, lines: Tensor) -> Tensor:
    return torch.index_fill(x, 0, lines, 0.)

  def as_bytes(self: __torch__.Gptq, x: Tensor) -> Tensor:
    return x.to(0)

  # Lines of x reordered; the inverse permutation undoes it.
  def reordered(self: __torch__.Gptq, x: Tensor, order: Tensor) -> Tensor:
    return torch.index_select(x, 0, order)

  # Rows start .. end of the transposed x [n, rows].
  def module_rows(self: __torch__.Gptq, x: Tensor, start: int, end: int) -> Tensor:
    return torch.contiguous(torch.t(x[:, start:end]))

  def module_columns(self: __torch__.Gptq, x: Tensor, start: int, end: int) -> Tensor:
    return torch.contiguous(x[:, start:end])

  # W[o, i] = scale[g_idx[i], o] * (codes[o, i] - zero[g_idx[i], o]) as dtype, with scales as float16 stores them; codes
  # [out, n], scale and zero [G, out]. Some rows at a time, so that what is in float32 stays small.
  def dequantized(self: __torch__.Gptq, codes: Tensor, scale: Tensor, zero: Tensor, g_idx: Tensor, dtype: int) -> Tensor:
    W = torch.empty(torch.size(codes), dtype=dtype, device=codes.device)
    stored = torch.contiguous(torch.t(scale.to(5).to(6)))                                        # [out, G]
    zeros = torch.contiguous(torch.t(zero))
    for start in range(0, torch.size(codes, 0), 256):
      end = min(start + 256, torch.size(codes, 0))
      s = torch.index_select(stored[start:end], 1, g_idx)
      z = torch.index_select(zeros[start:end], 1, g_idx)
      _0 = torch.copy_(W[start:end], torch.mul(s, torch.sub(codes[start:end].to(6), z)))
    return W
