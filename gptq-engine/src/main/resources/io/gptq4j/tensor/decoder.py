class Decoder(Module):
  # The parts of a decoder-only transformer, one method each. Shapes: B windows, T tokens, C hidden size, H heads,
  # K key/value heads, D head size, V vocabulary. Types are numbers: 4 int64, 6 float32, 7 float64.
  __parameters__ = []
  __buffers__ = []

  # Raw little-endian bytes as a tensor of floating type `stored`, converted to `wanted`.
  def decode_as(self: __torch__.Decoder, raw: Tensor, stored: int, wanted: int, shape: List[int]) -> Tensor:
    return torch.reshape(torch.contiguous(torch.view_copy(raw, dtype=stored).to(wanted)), shape)

  def placed(self: __torch__.Decoder, x: Tensor, device: str) -> Tensor:
    return x.to(torch.device(device))

  # The number of the type of x, and the bytes of an element; [2].
  def type_and_width(self: __torch__.Decoder, x: Tensor) -> Tensor:
    return torch.tensor([x.dtype, torch.element_size(x)])

  # The bytes of x, [bytes] uint8; decode_as is the way back.
  def to_bytes(self: __torch__.Decoder, x: Tensor) -> Tensor:
    return torch.view_copy(torch.flatten(torch.contiguous(x)), dtype=0)

  def reshaped(self: __torch__.Decoder, x: Tensor, shape: List[int]) -> Tensor:
    return torch.clone(torch.reshape(x, shape))

  # How many elements are NaN or infinite; 0-dimensional. They are counted only if the range, which is found faster, has one.
  def count_not_finite(self: __torch__.Decoder, x: Tensor) -> Tensor:
    low, high = torch.aminmax(x)
    if bool(torch.isfinite(low)):
      if bool(torch.isfinite(high)):
        return torch.zeros([], dtype=4, device=x.device)
    return torch.sum(torch.logical_not(torch.isfinite(x))).to(4)

  def embed(self: __torch__.Decoder, ids: Tensor, weight: Tensor) -> Tensor:
    return torch.embedding(weight, ids)                                                          # [B, T, C]

  # Learned positions offset .. offset + T - 1, added.
  def add_positions(self: __torch__.Decoder, x: Tensor, weight: Tensor, offset: int) -> Tensor:
    T = torch.size(x, 1)
    return torch.add(x, weight[offset:offset + T])

  # x + y in the place of x.
  def add_to(self: __torch__.Decoder, x: Tensor, y: Tensor) -> Tensor:
    return torch.add_(x, y)

  def linear(self: __torch__.Decoder, x: Tensor, weight: Tensor) -> Tensor:
    return torch.linear(x, weight)

  def linear_with_bias(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.linear(x, weight, bias)

  def layer_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], weight, bias, eps)

  # Without learned parameters.
  def plain_layer_norm(self: __torch__.Decoder, x: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], None, None, eps)

  # The mean square is taken in float32, whatever the type of x.
  def rms_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = x.to(6)
    y = torch.mul(y, torch.rsqrt(torch.add(torch.mean(torch.square(y), [-1], True), eps)))
    return torch.mul_(torch.type_as(y, x), weight)

  # In the place of x: the widest tensors of a block are these, and fresh memory for another costs more than the function.
  def activate(self: __torch__.Decoder, x: Tensor, kind: str) -> Tensor:
    if kind == "silu":
      return torch.silu_(x)
    if kind == "gelu":
      return torch.gelu_(x)
    if kind == "gelu_tanh":
      return torch.gelu_(x, approximate="tanh")
    if kind == "relu":
      return torch.relu_(x)
    ops.prim.RaiseException("unknown activation")
    return x

  def gated(self: __torch__.Decoder, gate: Tensor, up: Tensor, kind: str) -> Tensor:
    return torch.mul_(self.activate(gate, kind), up)

  # Inverse frequencies 1 / theta^(2i / D), [D / 2], as float32 arithmetic gives them in the models' own code.
  def inverse_frequencies(self: __torch__.Decoder, like: Tensor, theta: float, D: int) -> Tensor:
    exponents = torch.div(torch.arange(0, D, 2, dtype=4, device=like.device).to(6), D)
    return torch.reciprocal(torch.pow(theta, exponents))

  # The rotary tables cos and sin, [T, D], of positions 0 .. T - 1, times the attention factor of the scaling.
  def rotary_tables(self: __torch__.Decoder, frequencies: Tensor, T: int, factor: float, dtype: int) -> Tuple[Tensor, Tensor]:
    positions = torch.arange(0, T, 1, dtype=4, device=frequencies.device).to(6)
    half = torch.mul(torch.unsqueeze(positions, 1), torch.unsqueeze(frequencies, 0))
    angles = torch.cat([half, half], -1)
    return (torch.mul(torch.cos(angles), factor).to(dtype), torch.mul(torch.sin(angles), factor).to(dtype))

  # Rotates the two halves of each head against each other; x [B, H, T, D].
  def rotated(self: __torch__.Decoder, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    D = torch.size(x, -1)
    first = torch.slice(x, -1, 0, D // 2)
    second = torch.slice(x, -1, D // 2, D)
    return torch.add(torch.mul(x, cos), torch.mul(torch.cat([torch.neg(second), first], -1), sin))

  # [B, T, H * D] -> [B, H, T, D]
  def heads(self: __torch__.Decoder, x: Tensor, H: int) -> Tensor:
    return torch.transpose(torch.reshape(x, [torch.size(x, 0), torch.size(x, 1), H, -1]), 1, 2)

  # The fused projection of BLOOM, [B, T, H * 3 * D] with q, k and v side by side in each head, taken apart.
  def split_per_head(self: __torch__.Decoder, x: Tensor, H: int) -> Tuple[Tensor, Tensor, Tensor]:
    B = torch.size(x, 0)
    T = torch.size(x, 1)
    y = torch.reshape(x, [B, T, H, 3, -1])
    q = torch.reshape(torch.select(y, 3, 0), [B, T, -1])
    k = torch.reshape(torch.select(y, 3, 1), [B, T, -1])
    v = torch.reshape(torch.select(y, 3, 2), [B, T, -1])
    return (q, k, v)

  # Causal attention of q [B, T, H * D] over k and v [B, T, K * D]; K divides H. Returns [B, T, H * D].
  def attention(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, H: int, K: int, scale: float) -> Tensor:
    return self.attend(self.heads(q, H), self.heads(k, K), self.heads(v, K), scale)

  def rotary_attention(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, H: int, K: int, scale: float) -> Tensor:
    T = torch.size(q, 1)
    c = cos[0:T]
    s = sin[0:T]
    return self.attend(self.rotated(self.heads(q, H), c, s), self.rotated(self.heads(k, K), c, s), self.heads(v, K), scale)

  def attend(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    repeats = torch.size(q, 1) // torch.size(k, 1)
    if repeats > 1:
      k = torch.repeat_interleave(k, repeats, 1)
      v = torch.repeat_interleave(v, repeats, 1)
    y = torch.scaled_dot_product_attention(q, k, v, None, 0., True, scale=scale)
    return torch.flatten(torch.transpose(y, 1, 2), 2)

  # Causal attention with linear biases (ALiBi): slope[h] * key position is added to each score. A few heads at a time,
  # since the biases of all would take H * T * T numbers.
  def alibi_attention(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, slopes: Tensor, H: int, scale: float) -> Tensor:
    T = torch.size(q, 1)
    positions = torch.arange(0, T, 1, dtype=4, device=q.device).to(6)
    future = torch.gt(torch.unsqueeze(positions, 0), torch.unsqueeze(positions, 1))              # [T, T]
    q4 = self.heads(q, H)
    k4 = self.heads(k, H)
    v4 = self.heads(v, H)
    results = annotate(List[Tensor], [])
    chunk = max(1, 16777216 // (T * T))
    for start in range(0, H, chunk):
      end = min(start + chunk, H)
      bias = torch.mul(torch.reshape(slopes[start:end], [-1, 1, 1]), positions)                  # [chunk, 1, T]
      mask = torch.type_as(torch.masked_fill(torch.expand(bias, [-1, T, T]), future, -3.4028234663852886e+38), q)
      y = torch.scaled_dot_product_attention(q4[:, start:end], k4[:, start:end], v4[:, start:end], torch.unsqueeze(mask, 0), 0., False, scale=scale)
      _0 = torch.append(results, y)
    return torch.flatten(torch.transpose(torch.cat(results, 1), 1, 2), 2)

  # Log-probabilities, float64 [B * (T - 1)], of tokens 2 .. T given what stands before each; a stretch of positions at
  # a time, since the logits of a whole window can exceed a gigabyte.
  def log_likelihoods(self: __torch__.Decoder, x: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    T = torch.size(ids, 1)
    hidden = torch.flatten(x[:, 0:T - 1], 0, 1)
    targets = torch.flatten(ids[:, 1:T], 0, 1)
    results = annotate(List[Tensor], [])
    n = torch.size(hidden, 0)
    for start in range(0, n, 256):
      end = min(start + 256, n)
      logits = torch.linear(hidden[start:end], head).to(6)
      target = torch.unsqueeze(targets[start:end], 1)
      chosen = torch.squeeze(torch.gather(logits, 1, target), 1)
      _0 = torch.append(results, torch.sub(chosen, torch.logsumexp(logits, [1])).to(7))
    return torch.cat(results)

  # How M models predict tokens 2 .. T, float64 [3, M, B * (T - 1)]: log-probabilities; the KL divergence from the first model to
  # each; 1. where both have the same most likely token. A stretch of positions at a time, so that the logits of all models
  # stay small, yet enough of them that the products are efficient.
  def compare(self: __torch__.Decoder, xs: List[Tensor], heads: List[Tensor], ids: Tensor) -> Tensor:
    T = torch.size(ids, 1)
    M = torch.len(xs)
    targets = torch.flatten(ids[:, 1:T], 0, 1)
    hidden = annotate(List[Tensor], [])
    for m in range(M):
      _0 = torch.append(hidden, torch.flatten(xs[m][:, 0:T - 1], 0, 1))
    results = annotate(List[Tensor], [])
    n = torch.size(targets, 0)
    stretch = max(64, 4194304 // torch.size(heads[0], 0))
    for start in range(0, n, stretch):
      end = min(start + stretch, n)
      target = torch.unsqueeze(targets[start:end], 1)
      first = torch.log_softmax(torch.linear(hidden[0][start:end], heads[0]).to(6), 1)
      best = torch.argmax(first, 1)
      rows = annotate(List[Tensor], [])
      for m in range(M):
        if m == 0:
          other = first
        else:
          other = torch.log_softmax(torch.linear(hidden[m][start:end], heads[m]).to(6), 1)
        likelihood = torch.squeeze(torch.gather(other, 1, target), 1).to(7)
        divergence = self.kl_divergence(first, other)
        agreement = torch.eq(torch.argmax(other, 1), best).to(7)
        _1 = torch.append(rows, torch.stack([likelihood, divergence, agreement]))
      _2 = torch.append(results, torch.stack(rows, 1))                                           # [3, M, stretch]
    return torch.cat(results, 2)

  # KL divergence of the predictions from y from those from x, both [B, T, C], summed over all positions; float64 [1].
  def divergence(self: __torch__.Decoder, x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    xs = torch.flatten(x, 0, 1)
    ys = torch.flatten(y, 0, 1)
    total = torch.zeros([1], dtype=7, device=x.device)
    n = torch.size(xs, 0)
    for start in range(0, n, 256):
      end = min(start + 256, n)
      p = torch.log_softmax(torch.linear(xs[start:end], head).to(6), 1)
      q = torch.log_softmax(torch.linear(ys[start:end], head).to(6), 1)
      _0 = torch.add_(total, torch.sum(self.kl_divergence(p, q)))
    return total

  # sum p (log p - log q) at each position, float64 [positions], of log-probabilities [positions, V] in float32.
  def kl_divergence(self: __torch__.Decoder, p: Tensor, q: Tensor) -> Tensor:
    return torch.sum(torch.mul(torch.exp(p), torch.sub(p, q)), [1], dtype=7)

  # Positions start .. end of x, [B, end - start, C].
  def positions(self: __torch__.Decoder, x: Tensor, start: int, end: int) -> Tensor:
    return torch.contiguous(x[:, start:end])

  # Logits in float32, [T, V], of the only window in x.
  def logits(self: __torch__.Decoder, x: Tensor, head: Tensor) -> Tensor:
    return torch.contiguous(torch.linear(torch.select(x, 0, 0), head).to(6))
