class Refine(Module):
  # What improves on the solve: its target, its grids, and its result. Shapes and types as in gptq.py; M [n, n] holds the
  # factor U of the inverse Hessian in its upper triangle and, strictly below it, the Hessian H; `diagonal` [n] is the
  # damped diagonal of H. Everything is in solve order but where it says otherwise.
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

  # All tokens of x [N, C], and what the shared experts' outputs for them are multiplied by, with a gate [N, 1] or without;
  # both [N].
  def shared_share(self: __torch__.Refine, x: Tensor, gate: List[Tensor]) -> Tuple[Tensor, Tensor]:
    weights = torch.ones([torch.size(x, 0)], dtype=6, device=x.device)
    if torch.len(gate) > 0:
      weights = torch.sigmoid(torch.flatten(gate[0]).to(6))
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
      _0 = torch.copy_(D[:, start:end], torch.index_select(d, 0, order))
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

  # H X for X [n, rows], from the strict lower triangle of M and the diagonal.
  def hessian_times(self: __torch__.Refine, M: Tensor, diagonal: Tensor, X: Tensor) -> Tensor:
    n = torch.size(M, 0)
    Y = torch.mul(X, torch.unsqueeze(diagonal, 1))
    block = 256
    for i in range(0, n, block):
      j = min(i + block, n)
      L = torch.tril(M[i:j, i:j], -1)
      _0 = torch.addmm_(Y[i:j], torch.add(L, torch.t(L)), X[i:j])
      if i > 0:
        _1 = torch.addmm_(Y[i:j], M[i:j, 0:i], X[0:i])
        _2 = torch.addmm_(Y[0:i], torch.t(M[i:j, 0:i]), X[i:j])
    return Y

  # What is left of the weights, W - Q, from the solve's Err: W - Q = U^T Err.
  def errors(self: __torch__.Refine, M: Tensor, Err: Tensor) -> Tensor:
    n = torch.size(M, 0)
    E = torch.empty_like(Err)
    block = 256
    for i in range(0, n, block):
      j = min(i + block, n)
      _0 = torch.matmul(torch.t(torch.triu(M[i:j, i:j])), Err[i:j], out=E[i:j])
      if i > 0:
        _1 = torch.addmm_(E[i:j], torch.t(M[0:i, i:j]), Err[0:i])
    return E

  # Coordinate descent after the solve. Err [n, rows] is what the solve left and consumed, codes [n, rows] its result,
  # which changes in place, as scale [G, rows] does; zero [G, rows]; groups [n]. members [n] holds the columns of the first
  # group, of the second and so on, `group` of each, ascending.
  # With E = W - Q and R = H E, half of the sum of E R is the loss, and -R its slope. In each sweep every column takes the
  # code that is best while all others stay as they are, in blocks of columns: within a block R is kept up to date line by
  # line, beyond it by one product. Then each group's scale takes its least-squares value, also while all else stays.
  # Returns the loss.
  def swept(self: __torch__.Refine, Err: Tensor, codes: Tensor, M: Tensor, diagonal: Tensor, scale: Tensor, zero: Tensor, groups: Tensor, members: Tensor, group: int, maxq: int, sweeps: int) -> Tensor:
    n = torch.size(M, 0)
    rows = torch.size(Err, 1)
    block = 16
    tile = rows
    if not Err.is_cuda:
      tile = min(rows, 2048)                   # as in the solve: small enough for one thread, which keeps rounding the same
    E = self.errors(M, Err)
    R = self.hessian_times(M, diagonal, E)
    Q = torch.sub(codes.to(6), torch.index_select(zero, 0, groups))                              # codes less zero points
    P = Err
    D = torch.empty([block, rows], dtype=6, device=Err.device)
    for sweep in range(sweeps):
      for i in range(0, n, block):
        j = min(i + block, n)
        L = torch.tril(M[i:j, i:j], -1)
        B = torch.add(torch.add(L, torch.t(L)), torch.diag(diagonal[i:j]))
        waiting = annotate(List[Future[Tensor]], [])
        for r in range(tile, rows, tile):
          t = min(r + tile, rows)
          _0 = torch.append(waiting, fork(self.improved, R[i:j, r:t], Q[i:j, r:t], B, scale[:, r:t], zero[:, r:t], groups[i:j], D[0:j - i, r:t], maxq))
        _1 = self.improved(R[i:j, 0:tile], Q[i:j, 0:tile], B, scale[:, 0:tile], zero[:, 0:tile], groups[i:j], D[0:j - i, 0:tile], maxq)
        for future in waiting:
          _2 = torch.wait(future)
        changes = D[0:j - i]
        _3 = torch.sub_(E[i:j], changes)
        _4 = torch.addmm_(R[i:j], torch.triu(B), changes, beta=1, alpha=-1)          # lines have seen changes before theirs
        if i > 0:
          _5 = torch.addmm_(R[0:i], torch.t(M[i:j, 0:i]), changes, beta=1, alpha=-1)
        if j < n:
          _6 = torch.addmm_(R[j:n], M[j:n, i:j], changes, beta=1, alpha=-1)
      for g in range(torch.size(scale, 0)):
        mine = members[g * group:(g + 1) * group]
        C = torch.index_select(Q, 0, mine)                                                       # [group, rows]
        _7 = self.times_columns(M, diagonal, mine, C, P)                                         # H C, [n, rows]
        slope = self.sums(torch.mul(C, torch.index_select(R, 0, mine)))
        curvature = self.sums(torch.mul(C, torch.index_select(P, 0, mine)))
        s = torch.select(scale, 0, g)
        t = torch.add(s, torch.div(slope, curvature))
        t = torch.where(torch.gt(torch.mul(t, s), 0.), self.storable(t), s)       # not where there is nothing to fit
        gained = torch.sub(t, s)
        _8 = torch.sub_(R, torch.mul_(P, gained))
        _9 = torch.index_add_(E, 0, mine, torch.mul(C, gained), alpha=-1)
        _10 = torch.copy_(s, t)
    _11 = torch.copy_(codes, torch.add(Q, torch.index_select(zero, 0, groups)))
    return torch.div(torch.sum(torch.sum(torch.mul(E, R), [1], dtype=7)), 2.)

  # The best codes for the columns of one block, one after the other, for some rows: R, Q and D [count, rows], B [count,
  # count] the block of H. D takes by how much each Q times its scale has grown. Each line of R sees the changes of those
  # before it.
  def improved(self: __torch__.Refine, R: Tensor, Q: Tensor, B: Tensor, scale: Tensor, zero: Tensor, groups: Tensor, D: Tensor, maxq: int) -> Tensor:
    count = torch.size(R, 0)
    S = torch.index_select(scale, 0, groups)                                                     # [count, rows]
    low = torch.neg(torch.index_select(zero, 0, groups))
    steps = torch.reciprocal(torch.mul(S, torch.unsqueeze(torch.diagonal(B), 1)))
    high = torch.add(low, maxq)
    r = torch.unbind(R)
    q = torch.unbind(Q)
    s = torch.unbind(S)
    lows = torch.unbind(low)
    highs = torch.unbind(high)
    step = torch.unbind(steps)
    d = torch.unbind(D)
    for k in range(count):
      _0 = torch.mul(r[k], step[k], out=d[k])
      _1 = torch.clamp_(torch.round_(torch.add_(d[k], q[k])), lows[k], highs[k])             # the new code
      _2 = torch.sub_(d[k], q[k])
      _3 = torch.add_(q[k], d[k])
      _4 = torch.mul_(d[k], s[k])
      if k + 1 < count:
        _5 = torch.addr_(R[k + 1:], torch.select(B, 1, k)[k + 1:], d[k], beta=1, alpha=-1)
    return D

  # Sums over the lines of X [count, rows]: each in one go, in an order that does not depend on threads.
  def sums(self: __torch__.Refine, X: Tensor) -> Tensor:
    return torch.sum(torch.contiguous(torch.t(X)), [1])

  # out = H[:, columns] X, for X [count, rows] and ascending columns; H as in M and the diagonal.
  def times_columns(self: __torch__.Refine, M: Tensor, diagonal: Tensor, columns: Tensor, X: Tensor, out: Tensor) -> Tensor:
    n = torch.size(M, 0)
    place = torch.unsqueeze(torch.arange(n, dtype=4, device=M.device), 1)
    for a in range(0, torch.size(columns, 0), 128):
      some = columns[a:a + 128]
      F = torch.contiguous(torch.t(torch.index_select(M, 0, some)))                              # above the diagonal
      F = torch.where(torch.gt(place, some), torch.index_select(M, 1, some), F)                  # [n, 128]
      F = torch.where(torch.eq(place, some), torch.unsqueeze(diagonal, 1), F)
      if a == 0:
        _0 = torch.matmul(F, X[0:128], out=out)
      else:
        _1 = torch.addmm_(out, F, X[a:a + 128])
    return out

  # As float16 stores it, with its sign; never 0 and never infinite.
  def storable(self: __torch__.Refine, scale: Tensor) -> Tensor:
    size = torch.clamp(torch.abs(scale), 5.9604644775390625e-08, 65504.)
    size = torch.clamp(torch.to(size, 5), 5.9604644775390625e-08).to(6)
    return torch.copysign(size, scale)

  # sum(v w q) and sum(v q^2) over each group, [rows, 1] both, for codes q [rows, group] of weights w; VW holds v w, V [group]
  # v. The one divided by the other is the least-squares scale.
  def fit(self: __torch__.Refine, VW: Tensor, V: Tensor, q: Tensor) -> Tuple[Tensor, Tensor]:
    return (torch.sum(torch.mul(VW, q), [1], True), torch.sum(torch.mul(torch.mul(q, q), V), [1], True))

  # The grids of all groups of Wt [n, rows], scale and zero both [G, rows], by the least sum((w - q)^2 * weight) over the
  # group, with weight [n] = U_cc^(-2 beta). For each of some coarse ranges around the largest weight: round, and see what
  # the least-squares scale for these codes would leave, which is sum(v w^2) - sum(v w q)^2 / sum(v q^2). The best one is
  # improved twice in the same way. A symmetric grid reaches one step further below 0 than above, so both directions are
  # tried; the scale of the other one is negative.
  # In the end the grid is widened by (1 - d)^-2, d being the share of sum(v w^2) that is left. With the least-squares scale q
  # is smaller than w by 1 - d, along w: dividing by that once makes the groups unbiased, and the second time gives room
  # for the errors of the columns before, which the solve adds to the weights that it rounds.
  def searched(self: __torch__.Refine, Wt: Tensor, M: Tensor, members: Tensor, group: int, maxq: int, beta: float) -> Tuple[Tensor, Tensor]:
    rows = torch.size(Wt, 1)
    count = torch.size(members, 0) // group
    scale = torch.empty([count, rows], dtype=6, device=Wt.device)
    middle = (maxq + 1) // 2
    weights = torch.pow(torch.diagonal(M), -2. * beta)                                           # [n]
    for g in range(count):
      mine = members[g * group:(g + 1) * group]
      V = torch.index_select(weights, 0, mine)
      line = torch.select(scale, 0, g)
      for start in range(0, rows, 256):                                                          # what the cache holds
        part = Wt[:, start:start + 256]
        W = torch.contiguous(torch.t(torch.index_select(part, 0, mine)))                         # [256, group]
        VW = torch.mul(W, V)
        largest = torch.amax(torch.abs(W), [1], True)
        largest = torch.masked_fill(largest, torch.eq(largest, 0.), 1.)
        most = torch.zeros_like(largest)
        s = torch.div(largest, maxq - middle)
        for k in range(16):
          q = torch.round(torch.div(W, torch.mul(largest, 2. * (1.3 - 0.95 * k / 15.) / maxq)))
          for direction in range(2):
            c = torch.clamp(q, middle - maxq, middle)
            if direction == 0:
              c = torch.clamp(q, -middle, maxq - middle)
            fit, size = self.fit(VW, V, c)                                                       # [256, 1]
            gained = torch.div(torch.square(fit), size)                                          # NaN if all codes are 0
            better = torch.gt(gained, most)
            most = torch.where(better, gained, most)
            s = torch.where(better, torch.mul(torch.div(fit, size), 1 - 2 * direction), s)
        s = self.storable(s)
        total = torch.sum(torch.mul(VW, W), [1], True)
        for turn in range(3):
          c = torch.clamp(torch.round(torch.div(W, s)), -middle, maxq - middle)
          fit, size = self.fit(VW, V, c)
          t = torch.div(fit, size)
          if turn == 2:
            t = torch.mul(t, torch.square(torch.div(torch.mul(total, size), torch.square(fit))))
          s = torch.where(torch.gt(torch.mul(t, s), 0.), self.storable(t), s)
        _0 = torch.copy_(line[start:start + 256], torch.squeeze(s, 1))
    return (scale, torch.full_like(scale, middle))
