class Gptq(Module):
  # GPTQ (Frantar et al. 2022, arXiv 2210.17323) in TorchScript. Shapes: n inputs, rows outputs, G groups. Weights are
  # kept transposed, [n, rows], so that one column of the paper's W is one contiguous line here.
  # Types are numbers: 0 uint8, 6 float32, 7 float64, 5 float16.
  __parameters__ = []
  __buffers__ = []

  # H += x^T x over all tokens, the upper triangle only; x [..., n] in any floating type, H [n, n] float32. In place.
  # Blocks of `base` lines on the diagonal, and beside them squares that double in size: half the work of the whole
  # product, nearly all of it in large products. x is multiplied with `scale` first, a power of two. H stays as it is if x
  # has a magnitude above `limit`, or a NaN. Returns [2] float64: the largest magnitude of x, NaN if there is one, and, with
  # `fourth`, the sum of the tokens' |x|^4 after scaling.
  def accumulate(self: __torch__.Gptq, H: Tensor, x: Tensor, base: int, scale: float, limit: float, fourth: bool) -> Tensor:
    n = torch.size(H, 0)
    low, high = torch.aminmax(x)
    largest = torch.maximum(torch.neg(low.to(7)), high.to(7))
    sum = torch.zeros_like(largest)
    if not bool(torch.le(largest, limit)):
      return torch.stack([largest, sum])
    flat = torch.reshape(x, [-1, n]).to(6)                                                       # [tokens, n]
    if scale != 1.:
      flat = torch.mul(flat, scale)
    if fourth:
      sum = self.total(torch.square(torch.square(torch.linalg_vector_norm(flat, 2, [1]).to(7))))
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
    return torch.stack([largest, sum])

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

  # H += weight * other. In place.
  def add_to(self: __torch__.Gptq, H: Tensor, other: Tensor, weight: float) -> Tensor:
    return torch.add_(H, other, alpha=weight)

  # H *= factor. In place.
  def scaled(self: __torch__.Gptq, H: Tensor, factor: float) -> Tensor:
    return torch.mul_(H, factor)

  # The sum of the products of all elements, 0-dimensional, float64; a line at a time, in an order that no thread changes.
  def inner(self: __torch__.Gptq, A: Tensor, B: Tensor) -> Tensor:
    sum = torch.zeros([], dtype=7, device=A.device)
    for i in range(0, torch.size(A, 0), 256):
      sum = torch.add(sum, torch.sum(torch.sum(torch.mul(A[i:i + 256].to(7), B[i:i + 256].to(7)), [1])))
    return sum

  # The sum of all elements of x, float64, 0-dimensional; stretch by stretch, each of which one thread adds up.
  def total(self: __torch__.Gptq, x: Tensor) -> Tensor:
    sum = torch.zeros([], dtype=7, device=x.device)
    for part in torch.split(torch.flatten(x), 16384):
      sum = torch.add(sum, torch.sum(part))
    return sum

  def diagonal(self: __torch__.Gptq, H: Tensor) -> Tensor:
    return torch.diagonal(H).to(7)                                                               # [n]

  # factor * H with rows and columns in the given order and another diagonal [n], which is in that order already.
  # Gathers whole lines, then, transposed, whole lines again: single elements would cost several times as much.
  def arranged(self: __torch__.Gptq, H: Tensor, order: Tensor, factor: float, diagonal: Tensor) -> Tensor:
    n = torch.size(H, 0)
    K = torch.empty_like(H)
    for i in range(0, n, 256):
      columns = torch.contiguous(torch.t(torch.index_select(H, 0, order[i:i + 256])))            # [n, 256], H is symmetric
      _0 = torch.mul(torch.index_select(columns, 0, order), factor, out=K[:, i:i + 256])
    _1 = torch.copy_(torch.diagonal(K), diagonal)
    return K

  # H again, its upper triangle from its strict lower one, with this diagonal [n]. In place.
  def restored(self: __torch__.Gptq, H: Tensor, diagonal: Tensor) -> Tensor:
    n = torch.size(H, 0)
    for i in range(0, n, 256):
      j = min(i + 256, n)
      L = torch.tril(H[i:j, i:j], -1)
      _0 = torch.copy_(H[i:j, i:j], torch.add(L, torch.t(L)))
      for a in range(j, n, 256):
        b = min(a + 256, n)
        _1 = torch.copy_(H[i:j, a:b], torch.t(H[a:b, i:j]))
    _2 = torch.copy_(torch.diagonal(H), diagonal)
    return H

  # factor * H strictly below the diagonal of M, in the order that H is in. In place.
  def beneath(self: __torch__.Gptq, M: Tensor, H: Tensor, factor: float) -> Tensor:
    n = torch.size(M, 0)
    for i in range(0, n, 256):
      j = min(i + 256, n)
      L = torch.tril(torch.mul(H[i:j, i:j], factor), -1)
      _0 = torch.copy_(M[i:j, i:j], torch.add(torch.triu(M[i:j, i:j]), L))
      if i > 0:
        _1 = torch.mul(H[i:j, 0:i], factor, out=M[i:j, 0:i])
    return M

  # The factor of the inverse of a diagonal matrix, in the upper triangle: columns that know nothing of each other.
  def unconnected(self: __torch__.Gptq, H: Tensor, diagonal: Tensor) -> Tensor:
    n = torch.size(H, 0)
    for i in range(0, n, 256):
      j = min(i + 256, n)
      _0 = torch.copy_(H[i:j, i:j], torch.tril(H[i:j, i:j], -1))
      _1 = torch.fill_(H[i:j, j:n], 0.)
    _2 = torch.copy_(torch.diagonal(H), torch.rsqrt(diagonal))
    return H

  # The upper Cholesky factor U of H^-1, that is H^-1 = U^T U, by one Cholesky and one triangular inverse: H = R R^T with
  # R upper triangular, from the last line up, and U = R^-1. In place of H, whose strict lower triangle stays as it is, so
  # that one matrix holds U and, but for the diagonal, H. The result is 0 on success.
  # Both steps are blocked here, down to the products: LAPACK's own results change with the number of threads, and an
  # artifact must not.
  def factor(self: __torch__.Gptq, H: Tensor) -> Tensor:
    n = torch.size(H, 0)
    outer = 256
    failed = torch.zeros([], dtype=3, device=H.device)
    first = (n - 1) // outer * outer
    below = torch.empty([n, outer], dtype=6, device=H.device)                # what products overwrite below the diagonal
    for i in range(0, n, outer):
      j = min(i + outer, n)
      _0 = torch.copy_(below[i:j, 0:j - i], H[i:j, i:j])
    for i in range(first, -1, -outer):
      j = min(i + outer, n)
      D = torch.flip(H[i:j, i:j], [0, 1])
      failed = torch.maximum(failed, self.inverse_of_factor(D))
      D = torch.flip(D, [0, 1])                                                                  # U's own block
      _1 = torch.copy_(H[i:j, i:j], D)
      if i > 0:
        P = torch.matmul(H[0:i, i:j], torch.t(D))                                                # [i, outer] of R
        _2 = torch.copy_(H[0:i, i:j], P)
        for a in range(0, i, outer):
          b = min(a + outer, i)
          _3 = torch.addmm_(H[0:b, a:b], P[0:b], torch.t(P[a:b]), beta=1, alpha=-1)
    for i in range(first - outer, -1, -outer):
      j = i + outer
      P = torch.empty([outer, n - j], dtype=6, device=H.device)
      for a in range(j, n, outer):
        b = min(a + outer, n)
        _4 = torch.matmul(H[i:j, j:b], H[j:b, a:b], out=P[:, a - j:b - j])
      _5 = torch.neg_(torch.matmul(H[i:j, i:j], P, out=H[i:j, j:n]))
    for i in range(0, n, outer):
      j = min(i + outer, n)
      _6 = torch.copy_(H[i:j, i:j], torch.add(torch.triu(H[i:j, i:j]), torch.tril(below[i:j, 0:j - i], -1)))
    return failed.to(4)

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

  # The same by the three operations of the original program, in its order: equal up to rounding.
  def factor_in_three_steps(self: __torch__.Gptq, H: Tensor) -> Tensor:
    L, first = torch.linalg_cholesky_ex(H)
    if bool(torch.ne(first, 0)):
      return first.to(4)
    U, second = torch.linalg_cholesky_ex(torch.cholesky_inverse(L), upper=True)
    _0 = torch.copy_(H, torch.add(torch.triu(U), torch.tril(H, -1)))
    return torch.maximum(first, second).to(4)

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

  # Scale and zero point [rows] for the weights w [g, rows]. With exponent > 0, the best of 80 shrunken ranges by
  # sum |w - q|^exponent.
  def grid(self: __torch__.Gptq, w: Tensor, maxq: int, sym: bool, exponent: float, reference: bool) -> Tuple[Tensor, Tensor]:
    low = torch.clamp(torch.amin(w, [0]), None, 0.)
    high = torch.clamp(torch.amax(w, [0]), 0., None)
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
        q = torch.mul(s, torch.sub(self.codes(w, s, z, maxq), z))
        error = torch.sum(torch.exp_(torch.mul_(torch.log_(torch.abs(torch.sub(q, w))), exponent)), [0])
        better = torch.lt(error, best)
        best = torch.where(better, error, best)
        scale = torch.where(better, s, scale)
        zero = torch.where(better, z, zero)
    return (scale, zero)

  # The grids of all groups of W^T [n, rows], in column order: scale and zero, both [G, rows]. Column i is line place[i].
  def grids(self: __torch__.Gptq, Wt: Tensor, place: Tensor, group: int, maxq: int, sym: bool, exponent: float, reference: bool) -> Tuple[Tensor, Tensor]:
    n = torch.size(Wt, 0)
    scales = annotate(List[Tensor], [])
    zeros = annotate(List[Tensor], [])
    for start in range(0, n, group):
      s, z = self.grid(torch.index_select(Wt, 0, place[start:start + group]), maxq, sym, exponent, reference)
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
  def solve(self: __torch__.Gptq, Wt: Tensor, U: Tensor, scale: Tensor, zero: Tensor, groups: Tensor, refresh: int, maxq: int, sym: bool, exponent: float, reference: bool, step: int, threads: bool) -> Tuple[Tensor, Tensor]:
    n = torch.size(Wt, 0)
    rows = torch.size(Wt, 1)
    tile = rows
    if not Wt.is_cuda:
      tile = min(rows, 2048)                   # three such lines fit the first cache, and above it operators start threads
    tiles = (rows + tile - 1) // tile
    codes = torch.empty([n, rows], dtype=0, device=Wt.device)
    Q = torch.empty([step, rows], dtype=6, device=Wt.device)
    norms = torch.empty([tiles, n], dtype=6, device=Wt.device)
    for i1 in range(0, n, step):
      i2 = min(i1 + step, n)
      if refresh > 0:
        for i in range(i1, i2):
          if i % refresh == 0:
            s0, z0 = self.grid(Wt[i:min(i + refresh, n)], maxq, sym, exponent, reference)
            _0 = torch.copy_(torch.select(scale, 0, i // refresh), s0)
            _1 = torch.copy_(torch.select(zero, 0, i // refresh), z0)
      U1 = torch.contiguous(U[i1:i2, i1:i2])
      waiting = annotate(List[Future[Tensor]], [])
      for t in range(tiles):
        a = t * tile
        b = min(a + tile, rows)
        W = Wt[i1:i2, a:b]
        q = Q[0:i2 - i1, a:b]
        c = codes[i1:i2, a:b]
        if threads and b < rows:
          _2 = torch.append(waiting, fork(self.columns, W, U1, scale[:, a:b], zero[:, a:b], groups[i1:i2], q, c, norms[t, i1:i2], maxq, sym, reference))
        else:
          _3 = self.columns(W, U1, scale[:, a:b], zero[:, a:b], groups[i1:i2], q, c, norms[t, i1:i2], maxq, sym, reference)
      for future in waiting:
        _4 = torch.wait(future)
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
    return (codes, torch.div(self.total(torch.square(norms.to(7))), 2.))

  # The columns of one step, for some rows. W [count, rows] turns into Err; Q gets the codes less the zero points, which
  # are clamped to what the codes' range 0 .. maxq leaves them: round(w / s) + z on the grid, as the reference has it.
  # Product and difference are one operation each, rounded once, unless the reference programs are to be followed.
  def columns(self: __torch__.Gptq, W: Tensor, U: Tensor, scale: Tensor, zero: Tensor, groups: Tensor, Q: Tensor, codes: Tensor, norms: Tensor, maxq: int, sym: bool, reference: bool) -> Tensor:
    count = torch.size(W, 0)
    S = torch.index_select(scale, 0, groups)                                                     # [count, rows]
    w = torch.unbind(W)
    s = torch.unbind(S)
    u = torch.unbind(U)
    uu = torch.unbind(torch.diagonal(U))
    q = torch.unbind(Q)
    Z = Q
    lows = annotate(List[Tensor], [])
    highs = annotate(List[Tensor], [])
    middle = (maxq + 1) // 2
    if not sym:
      Z = torch.index_select(zero, 0, groups)
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
    if sym:
      _7 = torch.copy_(codes, torch.add_(Q, middle))
    else:
      _8 = torch.copy_(codes, torch.add_(Q, Z))
    _9 = torch.linalg_vector_norm(W, 2, [1], False, out=norms)
    return W

  # W^T [n, rows] in float32 from the weights [out, n] of several modules, side by side, with its lines in this order.
  def stacked(self: __torch__.Gptq, weights: List[Tensor], order: Tensor, threads: bool) -> Tensor:
    rows = 0
    for w in weights:
      rows = rows + torch.size(w, 0)
    Wt = torch.empty([torch.size(order, 0), rows], dtype=6, device=order.device)
    waiting = annotate(List[Future[Tensor]], [])
    start = 0
    for w in weights:
      for r in range(0, torch.size(w, 0), 512):
        part = w[r:r + 512]
        end = start + torch.size(part, 0)
        if threads:
          _0 = torch.append(waiting, fork(self.turned, part, order, Wt[:, start:end]))
        else:
          _1 = self.turned(part, order, Wt[:, start:end])
        start = end
    for future in waiting:
      _2 = torch.wait(future)
    return Wt

  # The transposed w [rows, n] with its lines in this order, into out [n, rows].
  def turned(self: __torch__.Gptq, w: Tensor, order: Tensor, out: Tensor) -> Tensor:
    return torch.index_select(torch.contiguous(torch.t(w.to(6))), 0, order, out=out)

  # Some lines of x [n, rows] set to zero, in place.
  def without_lines(self: __torch__.Gptq, x: Tensor, lines: Tensor) -> Tensor:
    return torch.index_fill_(x, 0, lines, 0.)

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
