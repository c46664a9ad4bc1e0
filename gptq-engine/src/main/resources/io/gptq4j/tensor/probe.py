class Probe(Module):
  # Loops that measure a machine, one kind of work each; all return [1, 1] float64 of what they wrote, so that reading it
  # waits for the device. Results go to given tensors or to the next turn: the compiler drops a product nobody uses.
  # Types are numbers: 6 float32, 7 float64.
  __parameters__ = []
  __buffers__ = []

  # Uniform random numbers on the device of `like`.
  def numbers(self: __torch__.Probe, like: Tensor, rows: int, columns: int, dtype: int) -> Tensor:
    return torch.rand([rows, columns], dtype=6, device=like.device).to(dtype)

  def first(self: __torch__.Probe, X: Tensor) -> Tensor:
    return torch.reshape(X[0:1, 0:1], [1]).to(7)

  # Y = X W^T, as a forward pass has it; X [m, k], W [n, k], Y [m, n].
  def products(self: __torch__.Probe, X: Tensor, W: Tensor, Y: Tensor, times: int) -> Tensor:
    for i in range(times):
      _0 = torch.mm(X, torch.t(W), out=Y)
    return self.first(Y)

  # Causal attention of q, k and v, each X [T, H * D] as H heads.
  def attentions(self: __torch__.Probe, X: Tensor, H: int, times: int) -> Tensor:
    q = torch.unsqueeze(torch.transpose(torch.reshape(X, [torch.size(X, 0), H, -1]), 0, 1), 0)
    y = q
    for i in range(times):
      y = torch.scaled_dot_product_attention(y, q, q, None, 0., True)
    return self.first(torch.select(torch.select(y, 0, 0), 0, 0))

  # Y = X, into memory that is there.
  def copies(self: __torch__.Probe, X: Tensor, Y: Tensor, times: int) -> Tensor:
    for i in range(times):
      _0 = torch.copy_(Y, X)
    return self.first(Y)

  # Y = Y + X, each time into fresh memory, as a forward pass has it.
  def fresh(self: __torch__.Probe, X: Tensor, Y: Tensor, times: int) -> Tensor:
    for i in range(times):
      Y = torch.add(Y, X)
    return self.first(Y)

  # Y = X in another type, into fresh memory.
  def conversions(self: __torch__.Probe, X: Tensor, Y: Tensor, times: int) -> Tensor:
    for i in range(times):
      Y = torch.to(X, 6, False, True)
    return self.first(Y)

  # X = X - Y in place: for small tensors the cost of a call.
  def calls(self: __torch__.Probe, X: Tensor, Y: Tensor, times: int) -> Tensor:
    for i in range(times):
      _0 = torch.sub_(X, Y)
    return self.first(X)
