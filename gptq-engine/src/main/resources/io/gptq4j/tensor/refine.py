class Refine(Module):
  # What improves on the solve: its target, its grids, and its result. Shapes and types as in gptq.py; M [n, n] holds the
  # factor U of the inverse Hessian in its upper triangle and, strictly below it, the Hessian H. Everything is in solve
  # order but H, its damped diagonal [n], and what is said to be.
  # All sums are products of fixed shapes, so that an artifact does not depend on the number of threads.
  __parameters__ = []
  __buffers__ = []

  # C += x^T (x~ - x): how the float model's input x~ [..., n] goes with what the quantized model's x lacks of it; C [n, n] float32.
  def add_crossed(self: __torch__.Refine, C: Tensor, x: Tensor, exact: Tensor) -> Tensor:
    flat = torch.reshape(x, [-1, torch.size(C, 0)]).to(6)                                        # [tokens, n]
    return torch.addmm_(C, torch.t(flat), self.gap(exact, flat))

  # C W^T for a module [out, n]: how its outputs fall short of the float model's because of their input alone; [n, out].
  def crossed_drift(self: __torch__.Refine, C: Tensor, weight: Tensor) -> Tensor:
    D = torch.empty([torch.size(C, 0), torch.size(weight, 0)], dtype=6, device=C.device)
    for r in range(0, torch.size(weight, 0), 2048):                    # so that what is in float32 stays small
      part = torch.t(weight[r:r + 2048].to(6))
      _0 = torch.copy_(D[:, r:r + torch.size(part, 1)], torch.matmul(C, part))
    return D

  # D += x^T ((x~ - x) W^T + factor (r~ - r)): the same summed up as it is, for modules side by side, D [n, rows] float32; with what
  # the residual stream lacks to which the outputs are added, if `streams` are that of the float model and the other, [..., rows].
  def add_drift(self: __torch__.Refine, D: Tensor, x: Tensor, exact: Tensor, weights: List[Tensor], streams: List[Tensor], factor: float) -> Tensor:
    flat = torch.reshape(x, [-1, torch.size(D, 0)]).to(6)                                        # [tokens, n]
    gap = self.gap(exact, flat)
    start = 0
    for w in weights:
      for r in range(0, torch.size(w, 0), 2048):
        part = w[r:r + 2048]
        end = start + torch.size(part, 0)
        y = torch.matmul(gap, torch.t(part.to(6)))                                               # [tokens, 2048]
        if torch.len(streams) > 0:
          y = torch.add_(y, self.gap(torch.slice(streams[0], -1, start, end), torch.slice(streams[1], -1, start, end)), alpha=factor)
        _0 = torch.addmm_(D[:, start:end], torch.t(flat), y)
        start = end
    return D

  # Lines start .. end of x, and matrices [n, ...] side by side.
  def lines(self: __torch__.Refine, x: Tensor, start: int, end: int) -> Tensor:
    return x[start:end]

  def beside(self: __torch__.Refine, parts: List[Tensor]) -> Tensor:
    return torch.cat(parts, 1)

  # exact - given, [N, C] float32 for [..., C].
  def gap(self: __torch__.Refine, exact: Tensor, given: Tensor) -> Tensor:
    C = torch.size(exact, -1)
    return torch.sub(torch.reshape(exact, [-1, C]).to(6), torch.reshape(given, [-1, C]).to(6))

  # All tokens of x [N, C], and what the shared experts' outputs for them are multiplied by: their gate [N, 1], or 1 without;
  # both [N].
  def shared_share(self: __torch__.Refine, x: Tensor, gate: List[Tensor]) -> Tuple[Tensor, Tensor]:
    weights = torch.ones([torch.size(x, 0)], dtype=6, device=x.device)
    if torch.len(gate) > 0:
      weights = torch.flatten(gate[0])
    return (torch.arange(torch.size(x, 0), dtype=4, device=x.device), weights)

  def row_sums(self: __torch__.Refine, x: Tensor) -> Tensor:
    return torch.sum(x.to(6), [-1])

  # x [n, in] in float32, each line times its weight.
  def weighted(self: __torch__.Refine, x: Tensor, weights: Tensor) -> Tensor:
    return torch.mul(x.to(6), torch.unsqueeze(weights, 1))

  # factor (wanted - output) / weights: what a sum of weighted outputs lacks for each unit of weight, [N, rows] float32;
  # nothing where there is no weight.
  def lack(self: __torch__.Refine, wanted: Tensor, output: Tensor, weights: Tensor, factor: float) -> Tensor:
    share = torch.where(torch.gt(weights, 9.9999999999999995e-07), torch.div(factor, weights), 0.)
    return torch.mul_(self.gap(wanted, output), torch.unsqueeze(share, 1))

  # D += x^T G for an expert's tokens: x [n, in] their weighted inputs, G [n, rows] those lines of gap [N, rows], weighted.
  def add_lack(self: __torch__.Refine, D: Tensor, x: Tensor, gap: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    return torch.addmm_(D, torch.t(x), self.weighted(torch.index_select(gap, 0, tokens), weights))

  # The part start .. end of D [n, rows]; shares its memory.
  def part(self: __torch__.Refine, D: Tensor, start: int, end: int) -> Tensor:
    return D[:, start:end]

  # Drifts [n, out] of several modules side by side, lines in solve order.
  def gathered(self: __torch__.Refine, drifts: List[Tensor], order: Tensor) -> Tensor:
    rows = 0
    for d in drifts:
      rows = rows + torch.size(d, 1)
    D = torch.empty([torch.size(order, 0), rows], dtype=6, device=order.device)
    start = 0
    for d in drifts:
      end = start + torch.size(d, 1)
      _0 = torch.index_select(d, 0, order, out=D[:, start:end])
      start = end
    return D

  # Wt + factor * H^-1 D, in place: the weights whose outputs on x are nearest to the float model's. H^-1 = U^T U. D
  # is consumed.
  def aimed(self: __torch__.Refine, Wt: Tensor, M: Tensor, D: Tensor, factor: float) -> Tensor:
    n = torch.size(M, 0)
    block = 256
    for i in range(0, n, block):
      j = min(i + block, n)
      P = torch.matmul(torch.triu(M[i:j, i:j]), D[i:j])
      if j < n:
        _0 = torch.addmm_(P, M[i:j, j:n], D[j:n])
      _1 = torch.copy_(D[i:j], P)
    for i in range(0, n, block):
      j = min(i + block, n)
      _2 = torch.addmm_(Wt[i:j], torch.t(torch.triu(M[i:j, i:j])), D[i:j], beta=1, alpha=factor)
      if i > 0:
        _3 = torch.addmm_(Wt[i:j], torch.t(M[0:i, i:j]), D[0:i], beta=1, alpha=factor)
    return Wt

  # U^-1 X in place of X [n, rows], from the last line up.
  def slopes(self: __torch__.Refine, M: Tensor, X: Tensor) -> Tensor:
    n = torch.size(M, 0)
    outer = 256
    inner = 64
    one = torch.eye(inner, dtype=6, device=M.device)
    for o1 in range((n - 1) // outer * outer, -1, -outer):
      o2 = min(o1 + outer, n)
      if o2 < n:
        _0 = torch.addmm_(X[o1:o2], M[o1:o2, o2:n], X[o2:n], beta=1, alpha=-1)
      for i in range(o1 + (o2 - o1 - 1) // inner * inner, o1 - 1, -inner):
        j = min(i + inner, o2)
        if j < o2:
          _1 = torch.addmm_(X[i:j], M[i:j, j:o2], X[j:o2], beta=1, alpha=-1)
        inverse = torch.linalg_solve_triangular(torch.triu(M[i:j, i:j]), one[0:j - i, 0:j - i], upper=True)
        _2 = torch.copy_(X[i:j], torch.matmul(inverse, X[i:j]))
    return X

  # Coordinate descent after the solve. R [n, rows] is the slope of the loss that the solve left, U^-1 Err, and is consumed;
  # codes [n, rows] its result, which changes in place, as scale [G, rows] does; zero [G, rows]. Lines are in the order in
  # which groups come one after the other, `group` lines each; so is H in M, and the diagonal [n].
  # With E = W - Q the loss is half of the sum of E R, and R = H E. In each sweep every column takes the code that is best
  # while all others stay as they are, one group after the other; then the group's scale takes its least-squares value,
  # also while all else stays. What changes in a block of groups comes to all lines of R in one product, and to a copy of
  # the block's own lines as soon as it is needed. Groups that are larger than a block get their scales when all their
  # columns have their codes.
  # Returns the loss, which was `loss` before.
  def swept(self: __torch__.Refine, R: Tensor, codes: Tensor, M: Tensor, diagonal: Tensor, scale: Tensor, zero: Tensor, group: int, maxq: int, sweeps: int, loss: Tensor, threads: bool) -> Tensor:
    n = torch.size(M, 0)
    rows = torch.size(R, 1)
    block = 256
    span = group
    if group <= block:
      block = block // group * group
      span = block
    Q = codes.to(6)                                                                              # codes less zero points
    for g in range(torch.size(scale, 0)):
      _0 = torch.sub_(Q[g * group:(g + 1) * group], torch.select(zero, 0, g))
    gain = torch.zeros([rows], dtype=6, device=R.device)
    for sweep in range(sweeps):
      for first in range(0, n, span):
        end = min(first + span, n)
        for a in range(first, end, block):
          b = min(a + block, end)
          q = Q[a:b]
          r = torch.clone(R[a:b])
          B = self.square(M, diagonal, a, b)
          D = torch.empty_like(r)                                                                # by how much E shrinks
          for i in range(0, b - a, group):
            j = min(i + group, b - a)
            g = (a + i) // group
            s = torch.select(scale, 0, g)
            _1 = self.recoded(r[i:j], q[i:j], B[i:j, i:j], s, torch.select(zero, 0, g), D[i:j], gain, maxq, threads)
            if group <= block:
              grown = self.fitted(s, self.inner(q[i:j], r[i:j]), self.inner(q[i:j], torch.matmul(B[i:j, i:j], q[i:j])), gain)
              _2 = torch.addcmul_(D[i:j], q[i:j], grown)
            if j < b - a:
              _3 = torch.addmm_(r[j:], B[j:, i:j], D[i:j], beta=1, alpha=-1)
          _4 = self.spread(R, M, B, a, b, D)
        if group > block:
          slope = torch.zeros_like(gain)
          curvature = torch.zeros_like(gain)
          for a in range(first, end, block):
            b = min(a + block, end)
            X = torch.matmul(self.square(M, diagonal, a, b), Q[a:b])
            if a > first:
              _5 = torch.addmm_(X, M[a:b, first:a], Q[first:a], beta=1, alpha=2)
            _6 = torch.add_(slope, self.inner(Q[a:b], R[a:b]))
            _7 = torch.add_(curvature, self.inner(Q[a:b], X))
          grown = self.fitted(torch.select(scale, 0, first // group), slope, curvature, gain)
          for a in range(first, end, block):
            b = min(a + block, end)
            _8 = self.spread(R, M, self.square(M, diagonal, a, b), a, b, torch.mul(Q[a:b], grown))
    for g in range(torch.size(scale, 0)):
      a = g * group
      b = min(a + group, n)
      _9 = torch.copy_(codes[a:b], torch.add_(Q[a:b], torch.select(zero, 0, g)))
    return torch.sub(loss, torch.sum(gain.to(7)))

  # Lines and columns a .. b of H.
  def square(self: __torch__.Refine, M: Tensor, diagonal: Tensor, a: int, b: int) -> Tensor:
    L = torch.tril(M[a:b, a:b], -1)
    return torch.add(torch.add(L, torch.t(L)), torch.diag(diagonal[a:b]))

  # R -= H[:, a:b] D; B is `square`.
  def spread(self: __torch__.Refine, R: Tensor, M: Tensor, B: Tensor, a: int, b: int, D: Tensor) -> Tensor:
    n = torch.size(M, 0)
    if a > 0:
      _0 = torch.addmm_(R[0:a], torch.t(M[a:b, 0:a]), D, beta=1, alpha=-1)
    if b < n:
      _1 = torch.addmm_(R[b:n], M[b:n, a:b], D, beta=1, alpha=-1)
    return torch.addmm_(R[a:b], B, D, beta=1, alpha=-1)

  # The columns of one group, or a block of it, one after the other: r, q, D [count, rows], B [count, count] their part of
  # H, s and z [rows] their scale and zero point. In steps of 16 line by line; lines further on see a step's changes by
  # products that double in size, as the solve's do.
  def recoded(self: __torch__.Refine, r: Tensor, q: Tensor, B: Tensor, s: Tensor, z: Tensor, D: Tensor, gain: Tensor, maxq: int, threads: bool) -> Tensor:
    count = torch.size(r, 0)
    rows = torch.size(r, 1)
    step = 16
    tile = rows
    if not r.is_cuda:
      tile = min(rows, 2048)                   # as in the solve: small enough for one thread, which keeps rounding the same
    low = torch.neg(z)
    high = torch.add(low, maxq)
    for i in range(0, count, step):
      j = min(i + step, count)
      waiting = annotate(List[Future[Tensor]], [])
      for a in range(0, rows, tile):
        b = min(a + tile, rows)
        if threads and b < rows:
          _0 = torch.append(waiting, fork(self.improved, r[i:j, a:b], q[i:j, a:b], B[i:j, i:j], s[a:b], low[a:b], high[a:b], D[i:j, a:b], gain[a:b]))
        else:
          _1 = self.improved(r[i:j, a:b], q[i:j, a:b], B[i:j, i:j], s[a:b], low[a:b], high[a:b], D[i:j, a:b], gain[a:b])
      for future in waiting:
        _2 = torch.wait(future)
      if j < count:
        width = step
        while j % (2 * width) == 0:
          width = 2 * width
        last = min(j + width, count)
        _3 = torch.addmm_(r[j:last], B[j:last, j - width:j], D[j - width:j], beta=1, alpha=-1)
    return torch.addmm_(r, torch.triu(B), D, beta=1, alpha=-1)            # lines have seen changes before theirs

  # The best codes for the columns of one step, for some rows: r, q and D [count, rows], B [count, count] the block of H,
  # low and high [rows] the bounds of q. D takes by how much each q times its scale has grown. Each line of r sees the
  # changes of those before it. gain [rows] grows by what that takes from the loss.
  def improved(self: __torch__.Refine, r: Tensor, q: Tensor, B: Tensor, scale: Tensor, low: Tensor, high: Tensor, D: Tensor, gain: Tensor) -> Tensor:
    count = torch.size(r, 0)
    h = torch.unsqueeze(torch.diagonal(B), 1)
    steps = torch.unbind(torch.reciprocal(torch.mul(h, scale)))
    slopes = torch.unbind(r)
    qs = torch.unbind(q)
    d = torch.unbind(D)
    for k in range(count):
      _0 = torch.mul(slopes[k], steps[k], out=d[k])
      _1 = torch.clamp_(torch.round_(torch.add_(d[k], qs[k])), low, high)                      # the new code
      _2 = torch.sub_(d[k], qs[k])
      _3 = torch.add_(qs[k], d[k])
      _4 = torch.mul_(d[k], scale)
      if k + 1 < count:
        _5 = torch.addr_(r[k + 1:], torch.select(B, 1, k)[k + 1:], d[k], beta=1, alpha=-1)
    return torch.add_(gain, self.inner(D, torch.sub(r, torch.mul(D, torch.mul(h, 0.5)))))

  # The least-squares scale [rows] in place of s, from the slope and the curvature of the loss on the way there; by how
  # much it has grown.
  def fitted(self: __torch__.Refine, s: Tensor, slope: Tensor, curvature: Tensor, gain: Tensor) -> Tensor:
    t = torch.add(s, torch.div(slope, curvature))
    t = torch.where(torch.gt(torch.mul(t, s), 0.), self.storable(t), s)           # not where there is nothing to fit
    grown = torch.sub(t, s)
    _0 = torch.add_(gain, torch.mul(grown, torch.sub(slope, torch.mul(grown, torch.mul(curvature, 0.5)))))
    _1 = torch.copy_(s, t)
    return grown

  # The sum of x y over the lines of X and Y [count, rows], each column's in an order of its own that no thread changes; [rows].
  def inner(self: __torch__.Refine, X: Tensor, Y: Tensor) -> Tensor:
    return torch.sum(torch.mul(X, Y), [0])

  # As float16 stores it, with its sign; never 0 and never infinite.
  def storable(self: __torch__.Refine, scale: Tensor) -> Tensor:
    size = torch.clamp(torch.abs(scale), 5.9604644775390625e-08, 65504.)
    size = torch.clamp(torch.to(size, 5), 5.9604644775390625e-08).to(6)
    return torch.copysign(size, scale)

  # sum(v w q) and sum(v q^2) over a group, [rows] both, for codes q [group, rows] of weights w; VW holds v w, V [group, 1] v.
  # The one divided by the other is the least-squares scale. q is consumed.
  def fit(self: __torch__.Refine, VW: Tensor, V: Tensor, q: Tensor) -> Tuple[Tensor, Tensor]:
    along = self.inner(VW, q)
    return (along, torch.sum(torch.mul_(torch.square_(q), V), [0]))

  # The grids of all groups of Wt [n, rows], scale and zero both [G, rows], by the least sum((w - q)^2 * weight) over the
  # group, with weight [n] = U_cc^(-2 beta). For each of some coarse ranges around the largest weight: round, and see what
  # the least-squares scale for these codes would leave, which is sum(v w^2) - sum(v w q)^2 / sum(v q^2). The best one is
  # improved twice in the same way. A symmetric grid reaches one step further below 0 than above, so both directions are
  # tried; the scale of the other one is negative.
  # In the end the grid is widened by (1 - d)^-2, d being the share of sum(v w^2) that is left. With the least-squares scale q
  # is smaller than w by 1 - d, along w: dividing by that once makes the groups unbiased, and the second time gives room
  # for the errors of the columns before, which the solve adds to the weights that it rounds.
  def searched(self: __torch__.Refine, Wt: Tensor, M: Tensor, members: Tensor, group: int, maxq: int, beta: float, threads: bool) -> Tuple[Tensor, Tensor]:
    rows = torch.size(Wt, 1)
    count = torch.size(members, 0) // group
    scale = torch.empty([count, rows], dtype=6, device=Wt.device)
    middle = (maxq + 1) // 2
    part = rows
    if not Wt.is_cuda:
      part = 256                                                                                 # what the cache holds
    weights = torch.pow(torch.diagonal(M), -2. * beta)                                           # [n]
    for g in range(count):
      mine = members[g * group:(g + 1) * group]
      V = torch.index_select(weights, 0, mine)
      line = torch.select(scale, 0, g)
      waiting = annotate(List[Future[Tensor]], [])
      for start in range(0, rows, part):
        end = min(start + part, rows)
        if threads:
          _0 = torch.append(waiting, fork(self.searched_group, Wt[:, start:end], mine, V, maxq, line[start:end]))
        else:
          _1 = self.searched_group(Wt[:, start:end], mine, V, maxq, line[start:end])
      for future in waiting:
        _2 = torch.wait(future)
    return (scale, torch.full_like(scale, middle))

  # The scales of one group, for some rows of Wt [n, rows], into out [rows].
  def searched_group(self: __torch__.Refine, Wt: Tensor, mine: Tensor, weights: Tensor, maxq: int, out: Tensor) -> Tensor:
    middle = (maxq + 1) // 2
    W = torch.index_select(Wt, 0, mine)                                                          # [group, rows]
    V = torch.unsqueeze(weights, 1)
    VW = torch.mul(W, V)
    largest = torch.amax(torch.abs(W), [0])
    largest = torch.masked_fill(largest, torch.eq(largest, 0.), 1.)
    most = torch.zeros_like(largest)
    s = torch.div(largest, maxq - middle)
    for k in range(16):
      q = torch.round_(torch.div(W, torch.mul(largest, 2. * (1.3 - 0.95 * k / 15.) / maxq)))
      for direction in range(2):
        if direction == 0:
          c = torch.clamp(q, -middle, maxq - middle)
        else:
          c = torch.clamp_(q, middle - maxq, middle)
        along, size = self.fit(VW, V, c)                                                         # [rows]
        gained = torch.div(torch.square(along), size)                                            # NaN if all codes are 0
        better = torch.gt(gained, most)
        most = torch.where(better, gained, most)
        s = torch.where(better, torch.mul(torch.div(along, size), 1 - 2 * direction), s)
    s = self.storable(s)
    total = self.inner(VW, W)
    for turn in range(3):
      c = torch.clamp_(torch.round_(torch.div(W, s)), -middle, maxq - middle)
      along, size = self.fit(VW, V, c)
      t = torch.div(along, size)
      if turn == 2:
        t = torch.mul(t, torch.square(torch.div(torch.mul(total, size), torch.square(along))))
      s = torch.where(torch.gt(torch.mul(t, s), 0.), self.storable(t), s)
    return torch.copy_(out, s)
