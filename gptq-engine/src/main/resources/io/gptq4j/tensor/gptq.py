class Gptq(Module):
  # GPTQ (Frantar et al. 2022, arXiv 2210.17323) in TorchScript. Shapes: n inputs, rows outputs, G groups. Weights are
  # kept transposed, [n, rows], so that one column of the paper's W is one contiguous line here.
  # Types are numbers: 0 uint8, 6 float32, 7 float64, 5 float16.
  __parameters__ = []
  __buffers__ = []

  # H += x^T x over all tokens; x [..., n] in any floating type, H [n, n] float32. In place.
  def accumulate(self: __torch__.Gptq, H: Tensor, x: Tensor) -> Tensor:
    flat = torch.reshape(x, [-1, torch.size(H, 0)]).to(6)                                        # [tokens, n]
    return torch.addmm_(H, torch.t(flat), flat)

  def diagonal(self: __torch__.Gptq, H: Tensor) -> Tensor:
    return torch.diagonal(H).to(7)                                                               # [n]

  def with_diagonal(self: __torch__.Gptq, H: Tensor, diagonal: Tensor) -> Tensor:
    K = torch.clone(H)
    torch.copy_(torch.diagonal(K), diagonal)
    return K

  def scaled(self: __torch__.Gptq, H: Tensor, factor: float) -> Tensor:
    return torch.mul(H, factor)

  def identity_like(self: __torch__.Gptq, H: Tensor) -> Tensor:
    return torch.eye(torch.size(H, 0), dtype=6, device=H.device)

  # H with rows and columns in solve order.
  def permuted(self: __torch__.Gptq, H: Tensor, order: Tensor) -> Tensor:
    return torch.index_select(torch.index_select(H, 0, order), 1, order)

  # The upper Cholesky factor U of (H + damp I)^-1, that is H^-1 = U^T U, from one Cholesky of the index-reversed H and
  # one triangular inverse: with J the reversal, L L^T = J H J gives U = J L^-1 J. The second result is 0 on success.
  # Both are blocked here, down to the products: LAPACK's own results change with the number of threads, and an artifact
  # must not. K turns from J H J into L, its diagonal blocks inverted, and then into L^-1.
  def factor(self: __torch__.Gptq, H: Tensor, damp: float) -> Tuple[Tensor, Tensor]:
    n = torch.size(H, 0)
    block = 128
    K = torch.flip(H, [0, 1])
    _0 = torch.add_(torch.diagonal(K), damp)
    failed = torch.zeros([], dtype=3, device=H.device)
    for i in range(0, n, block):
      j = min(i + block, n)
      L, info = torch.linalg_cholesky_ex(K[i:j, i:j])
      failed = torch.maximum(failed, info)
      D = torch.linalg_solve_triangular(L, torch.eye(j - i, dtype=6, device=H.device), upper=False)
      _1 = torch.copy_(K[i:j, i:j], D)
      if j < n:
        P = torch.matmul(K[j:n, i:j], torch.t(D))                                                # [n - j, block]
        _2 = torch.copy_(K[j:n, i:j], P)
        _3 = torch.addmm_(K[j:n, j:n], P, torch.t(P), beta=1, alpha=-1)
    _4 = torch.tril_(K)
    for i in range(block, n, block):
      j = min(i + block, n)
      P = torch.matmul(K[i:j, 0:i], K[0:i, 0:i])                                                 # [block, i]
      _5 = torch.copy_(K[i:j, 0:i], torch.neg(torch.matmul(K[i:j, i:j], P)))
    return (torch.flip(K, [0, 1]), failed.to(4))

  # The same factor by the three operations of the original program, in its order: equal up to float32 rounding.
  def factor_in_three_steps(self: __torch__.Gptq, H: Tensor, damp: float) -> Tuple[Tensor, Tensor]:
    K = torch.clone(H)
    torch.add_(torch.diagonal(K), damp)
    L, first = torch.linalg_cholesky_ex(K)
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

  # The column loop. Wt [n, rows] is consumed; rows and columns of U, lines of Wt and groups are in solve order. Where
  # refresh > 0, the grid of a group is made when its first column is reached, from the weights as updated up to the
  # block before, as the reference programs do; otherwise scale and zero [G, rows] are given. Returns codes [n, rows] and the loss sum(((w - q) / U_cc)^2) / 2.
  def solve(self: __torch__.Gptq, Wt: Tensor, U: Tensor, scale: Tensor, zero: Tensor, groups: List[int], refresh: int, maxq: int, sym: bool, exponent: float, reference: bool, blocksize: int) -> Tuple[Tensor, Tensor]:
    n = torch.size(Wt, 0)
    rows = torch.size(Wt, 1)
    codes = torch.empty([n, rows], dtype=0, device=Wt.device)
    loss = torch.zeros([], dtype=7, device=Wt.device)
    buffer = torch.empty([min(blocksize, n), rows], dtype=6, device=Wt.device)
    for i1 in range(0, n, blocksize):
      i2 = min(i1 + blocksize, n)
      count = i2 - i1
      W1 = torch.clone(Wt[i1:i2])                                                                # [count, rows]
      U1 = torch.contiguous(U[i1:i2, i1:i2])                                                     # [count, count]
      Err = torch.empty([count, rows], dtype=6, device=Wt.device)
      for j in range(count):
        i = i1 + j
        g = groups[i]
        if refresh > 0:
          if i % refresh == 0:
            members = torch.contiguous(torch.t(Wt[i:min(i + refresh, n)]))
            s0, z0 = self.grid(members, maxq, sym, exponent, reference)
            _0 = torch.copy_(torch.select(scale, 0, g), s0)
            _1 = torch.copy_(torch.select(zero, 0, g), z0)
        s = torch.select(scale, 0, g)
        z = torch.select(zero, 0, g)
        w = torch.select(W1, 0, j)
        q = self.codes(w, s, z, maxq)
        _2 = torch.copy_(torch.select(codes, 0, i), q)
        u = torch.select(U1, 0, j)
        err = torch.select(Err, 0, j)
        _3 = torch.div(torch.sub(w, torch.mul(s, torch.sub(q, z))), torch.select(u, 0, j), out=err)
        if j + 1 < count:
          feedback = buffer[0:count - j - 1]
          _4 = torch.mul(torch.unsqueeze(u[j + 1:], 1), torch.unsqueeze(err, 0), out=feedback)
          _5 = torch.sub_(W1[j + 1:], feedback)
      loss = torch.add(loss, torch.div(torch.sum(torch.square(Err).to(7)), 2.))
      if i2 < n:
        _6 = torch.sub_(Wt[i2:], torch.matmul(torch.t(U[i1:i2, i2:]), Err))
    return (codes, loss)

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

  # W[o, i] = scale[g_idx[i], o] * (codes[o, i] - zero[g_idx[i], o]) as dtype; codes [out, n], scale and zero [G, out].
  def dequantized(self: __torch__.Gptq, codes: Tensor, scale: Tensor, zero: Tensor, g_idx: Tensor, dtype: int) -> Tensor:
    s = torch.index_select(torch.t(scale), 1, g_idx)
    z = torch.index_select(torch.t(zero), 1, g_idx)
    return torch.mul(s, torch.sub(codes.to(6), z)).to(dtype)
