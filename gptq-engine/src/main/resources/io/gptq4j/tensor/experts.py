class Experts(Module):
  # The parts of a mixture of experts that other blocks have not, one method each. Shapes: N tokens, C hidden size, E experts,
  # k of them chosen. Types are numbers: 6 float32, 11 bool.
  __parameters__ = []
  __buffers__ = []

  # The experts that a router chooses for each of N tokens x [N, C], and their weights, both [N, k], the latter float32. Scores
  # are softmax or sigmoid of W x; `correction` [E or 0] counts for the choice only. Of `groups` groups of experts only
  # the best `open` take part, by their best score, or the sum of their two best.
  def route(self: __torch__.Experts, x: Tensor, weight: List[Tensor], sigmoid: bool, k: int, normalized: bool, factor: float, correction: Tensor, groups: int, open: int, two: bool) -> Tuple[Tensor, Tensor]:
    W = weight[0].to(6)                                                                          # [E, C]
    E = torch.size(W, 0)
    if not x.is_cuda:
      # with zeros up to a multiple of 16: how 60 scores are rounded depends on the number of threads
      W = torch.constant_pad_nd(W, [0, 0, 0, (16 - E % 16) % 16], 0.)
    logits = torch.slice(torch.linear(x.to(6), W), 1, 0, E)                                      # [N, E]
    if torch.len(weight) > 1:
      logits = torch.add(logits, weight[1].to(6))
    if sigmoid:
      scores = self.logistic(logits)
    else:
      scores = torch.softmax(logits, -1)
    choice = scores
    if torch.numel(correction) > 0:
      choice = torch.add(scores, correction.to(6))
    if groups > 1:
      N = torch.size(x, 0)
      grouped = torch.reshape(choice, [N, groups, -1])
      if two:
        best = torch.sum((torch.topk(grouped, 2, -1))[0], [-1])
      else:
        best = torch.amax(grouped, [-1])                                                         # [N, groups]
      which = (torch.topk(best, open, -1))[1]
      closed = torch.ones([N, groups], dtype=11, device=x.device)
      closed = torch.scatter(closed, 1, which, False)
      choice = torch.reshape(torch.masked_fill(grouped, torch.unsqueeze(closed, 2), -3.4028234663852886e+38), [N, -1])
    chosen = (torch.topk(choice, k, -1))[1]
    weights = torch.gather(scores, 1, chosen)
    if normalized:
      weights = torch.div(weights, torch.add(torch.sum(weights, [-1], True), 9.9999999999999995e-21))
    return (torch.mul(weights, factor), chosen)

  # The tokens [n] that are routed to an expert, ascending, and its weights [n] for them.
  def routed_to(self: __torch__.Experts, weights: Tensor, chosen: Tensor, expert: int) -> Tuple[Tensor, Tensor]:
    hits = torch.nonzero(torch.eq(chosen, expert))                                               # [n, 2]
    tokens = torch.select(hits, 1, 0)
    return (tokens, torch.select(torch.gather(weights[tokens], 1, torch.unsqueeze(torch.select(hits, 1, 1), 1)), 1, 0))

  # All tokens of x [B, T, C], one after the other.
  def tokens(self: __torch__.Experts, x: Tensor) -> Tensor:
    return torch.flatten(x, 0, -2)

  def lines(self: __torch__.Experts, x: Tensor, which: Tensor) -> Tensor:
    return torch.index_select(x, 0, which)

  def zeros_like(self: __torch__.Experts, x: Tensor) -> Tensor:
    return torch.zeros_like(x)

  # Some lines of y, those of `which`, plus x times the weights [n]; in the place of y.
  def add_lines(self: __torch__.Experts, y: Tensor, which: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    return torch.index_add_(y, 0, which, torch.mul(x, torch.type_as(torch.unsqueeze(weights, 1), x)))

  # x plus gate times y, in the place of x; gate [..., 1].
  def add_gated(self: __torch__.Experts, x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    return torch.add_(x, torch.mul(torch.type_as(gate, x), y))

  # The sigmoid in float32. libtorch's own rounds some elements by where its threads cut the tensor.
  def logistic(self: __torch__.Experts, x: Tensor) -> Tensor:
    return torch.reciprocal_(torch.add_(torch.exp_(torch.neg(x.to(6))), 1.))
