class Decoder(Module):
  # The parts of a decoder-only transformer, one method each. Shapes: B windows, T tokens, C hidden size, H heads,
  # K key/value heads, D head size, V vocabulary. Types are numbers: 4 int64, 6 float32, 7 float64.
  __parameters__ = []
  __buffers__ = []

  def embed(self: __torch__.Decoder, ids: Tensor, weight: Tensor) -> Tensor:
    return torch.embedding(weight, ids)                                                          # [B, T, C]

  # Learned positions offset .. offset + T - 1, added.
  def add_positions(self: __torch__.Decoder, x: Tensor, weight: Tensor, offset: int) -> Tensor:
    T = torch.size(x, 1)
    return torch.add(x, weight[offset:offset + T])

  # x + factor * y in the place of x; the product is rounded, as in the models' own code. libtorch's sum of both rounds it
  # outside whole vectors only.
  def add_to(self: __torch__.Decoder, x: Tensor, y: Tensor, factor: float) -> Tensor:
    if factor != 1.:
      y = torch.mul(y, factor)
    return torch.add_(x, y)

  # x times a factor that is rounded to the type of x.
  def scaled(self: __torch__.Decoder, x: Tensor, factor: float) -> Tensor:
    return torch.mul(x, torch.type_as(torch.full([], factor, dtype=6, device=x.device), x))

  # x times a factor that is not rounded.
  def multiplied(self: __torch__.Decoder, x: Tensor, factor: float) -> Tensor:
    return torch.mul(x, factor)

  # x [V, C] with each row divided by its length.
  def normalized_rows(self: __torch__.Decoder, x: Tensor) -> Tensor:
    length = torch.sqrt(torch.sum(torch.square(x), [-1], True, dtype=6))
    return torch.div(x, torch.type_as(torch.clamp(length, min=9.9999999999999998e-13), x))

  def linear(self: __torch__.Decoder, x: Tensor, weight: Tensor) -> Tensor:
    return torch.slice(torch.linear(self.padded(x), weight), 0, 0, torch.size(x, 0))

  def linear_with_bias(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.slice(torch.linear(self.padded(x), weight, bias), 0, 0, torch.size(x, 0))

  # Tokens x [n, C] of an expert or before the head, on a CPU with zeros up to 16 of them: how products of 5 to 11 lines are rounded
  # depends on the number of threads. Whole windows stay as they are.
  def padded(self: __torch__.Decoder, x: Tensor) -> Tensor:
    if torch.dim(x) == 2:
      if torch.size(x, 0) < 16:
        if not x.is_cuda:
          x = torch.constant_pad_nd(x, [0, 0, 0, 16 - torch.size(x, 0)], 0.)
    return x

  def layer_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], weight, bias, eps)

  # Weights are stored less one.
  def layer_norm_plus_one(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], torch.add(weight, 1.), bias, eps)

  def unbiased_layer_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = torch.layer_norm(x.to(6), [torch.size(x, -1)], None, None, eps)
    return torch.type_as(torch.mul_(y, weight.to(6)), x)

  # Without learned parameters.
  def plain_layer_norm(self: __torch__.Decoder, x: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], None, None, eps)

  # The mean square is taken in float32, whatever the type of x.
  def rms_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = x.to(6)
    return torch.mul_(torch.type_as(torch.mul(y, self.inverse_rms(y, eps)), x), weight)

  # Weights are stored less one; the product is taken in float32, too.
  def rms_norm_plus_one(self: __torch__.Decoder, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = x.to(6)
    return torch.type_as(torch.mul_(torch.mul(y, self.inverse_rms(y, eps)), torch.add(weight.to(6), 1.)), x)

  # 1 / sqrt(mean square + eps) over the last dimension of y [..., C], [..., 1].
  def inverse_rms(self: __torch__.Decoder, y: Tensor, eps: float) -> Tensor:
    rms = torch.mul_(torch.linalg_vector_norm(y, 2, [-1], True), torch.pow(torch.size(y, -1), -0.5))
    return torch.rsqrt_(torch.add_(torch.square_(rms), eps))

  # In the place of x: the widest tensors of a block are these, and fresh memory for another costs more than the function.
  # libtorch gives each of `threads` threads a part of the tensor, and has another exponential for what is left of a part after
  # whole vectors of up to 64. So that no element depends on the threads, it gets as much as is cut into whole vectors, and then
  # the rest, which one thread computes (with up to 256 threads). With fewer than 32768 elements a thread it takes fewer
  # threads, but for gelu.
  def activate(self: __torch__.Decoder, x: Tensor, kind: str, threads: int) -> Tensor:
    flat = torch.view(x, [-1])
    n = torch.numel(flat)
    part = 64 * threads
    if n < 32768 * threads:
      if not (kind == "gelu" or kind == "gelu_tanh"):
        part = 32768
    whole = n // part * part
    if whole > 0:
      _0 = self.activated(torch.slice(flat, 0, 0, whole), kind)
    if whole < n:
      _1 = self.activated(torch.slice(flat, 0, whole, n), kind)
    return x

  def activated(self: __torch__.Decoder, x: Tensor, kind: str) -> Tensor:
    if kind == "silu":
      return torch.silu_(x)
    if kind == "gelu":
      return torch.gelu_(x)
    if kind == "gelu_tanh":
      return torch.gelu_(x, approximate="tanh")
    if kind == "relu":
      return torch.relu_(x)
    if kind == "relu_squared":
      return torch.square_(torch.relu_(x))
    if kind == "quick_gelu":
      return torch.mul_(x, torch.sigmoid(torch.mul(x, 1.702)))
    ops.prim.RaiseException("unknown activation")
    return x

  def gated(self: __torch__.Decoder, gate: Tensor, up: Tensor, kind: str, threads: int) -> Tensor:
    return torch.mul_(self.activate(gate, kind, threads), up)

  # The halves of x [..., 2 * n] as gate and up.
  def gated_halves(self: __torch__.Decoder, x: Tensor, kind: str, threads: int) -> Tensor:
    n = torch.size(x, -1) // 2
    gate = self.activate(torch.contiguous(torch.slice(x, -1, 0, n)), kind, threads)
    return torch.mul_(gate, torch.slice(x, -1, n, 2 * n))

  # Inverse frequencies 1 / theta^(2i / R), [R / 2], as float32 arithmetic gives them in the models' own code.
  def inverse_frequencies(self: __torch__.Decoder, like: Tensor, theta: float, R: int) -> Tensor:
    exponents = torch.div(torch.arange(0, R, 2, dtype=4, device=like.device).to(6), R)
    return torch.reciprocal(torch.pow(theta, exponents))

  # The rotary tables cos and sin, [T, 1, R], of positions 0 .. T - 1, times the attention factor of the scaling. Each frequency
  # stands twice, side by side if channels are interleaved, and the first of its sines is negative.
  def rotary_tables(self: __torch__.Decoder, frequencies: Tensor, T: int, factor: float, interleaved: bool, dtype: int) -> Tuple[Tensor, Tensor]:
    positions = torch.arange(0, T, 1, dtype=4, device=frequencies.device).to(6)
    angles = torch.mul(torch.reshape(positions, [-1, 1, 1]), frequencies)                        # [T, 1, R / 2]
    cos = torch.mul(torch.cos(angles), factor).to(dtype)
    sin = torch.mul(torch.sin(angles), factor).to(dtype)
    if interleaved:
      return (torch.repeat_interleave(cos, 2, -1), torch.flatten(torch.stack([torch.neg(sin), sin], -1), -2))
    return (torch.cat([cos, cos], -1), torch.cat([torch.neg(sin), sin], -1))

  # The first R channels of each head rotated in pairs: i and i + R / 2, or 2i and 2i + 1; x [B, T, H, D], cos and sin [T, 1, R].
  def rotated(self: __torch__.Decoder, x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    D = torch.size(x, -1)
    R = torch.size(cos, -1)
    y = torch.slice(x, -1, 0, R)
    if interleaved:
      other = torch.flatten(torch.roll(torch.unflatten(y, -1, [-1, 2]), 1, -1), -2)
    else:
      other = torch.roll(y, R // 2, -1)
    y = torch.add_(torch.mul(y, cos), torch.mul_(other, sin))
    if R < D:
      y = torch.cat([y, torch.slice(x, -1, R, D)], -1)
    return y

  # [B, T, H * D] -> [B, H, T, D]
  def heads(self: __torch__.Decoder, x: Tensor, H: int) -> Tensor:
    return torch.transpose(self.split_heads(x, H), 1, 2)

  # The same rotated; the first token's position is `start`.
  def rotary_heads(self: __torch__.Decoder, x: Tensor, H: int, cos: Tensor, sin: Tensor, start: int, interleaved: bool) -> Tensor:
    end = start + torch.size(x, 1)
    return torch.transpose(self.rotated(self.split_heads(x, H), cos[start:end], sin[start:end], interleaved), 1, 2)

  # Room for what `capacity` tokens have, in the shape of x [B, K, 1, D].
  def room(self: __torch__.Decoder, x: Tensor, capacity: int) -> Tensor:
    return torch.zeros([torch.size(x, 0), torch.size(x, 1), capacity, torch.size(x, 3)], dtype=x.dtype, device=x.device)

  # Puts x [B, K, 1, D] in the place of token `end`; returns a view of the tokens from `start` to it.
  def kept(self: __torch__.Decoder, all: Tensor, x: Tensor, end: int, start: int) -> Tensor:
    _0 = torch.copy_(torch.slice(all, 2, end, end + 1), x)
    return torch.slice(all, 2, start, end + 1)

  # One part of a fused projection [B, T, G * n * D]: of the n heads of each of G groups, those from `start` to `end`.
  def fused_part(self: __torch__.Decoder, x: Tensor, G: int, n: int, start: int, end: int) -> Tensor:
    B = torch.size(x, 0)
    T = torch.size(x, 1)
    y = torch.reshape(x, [B, T, G, n, -1])
    return torch.reshape(torch.slice(y, 3, start, end), [B, T, -1])

  # In the place of x.
  def clipped(self: __torch__.Decoder, x: Tensor, bound: float) -> Tensor:
    return torch.clamp_(x, -bound, bound)

  # [B, T, H * D] -> [B, T, H, D], and back.
  def split_heads(self: __torch__.Decoder, x: Tensor, H: int) -> Tensor:
    return torch.reshape(x, [torch.size(x, 0), torch.size(x, 1), H, -1])

  def joined_heads(self: __torch__.Decoder, x: Tensor) -> Tensor:
    return torch.flatten(x, 2)

  def stacked(self: __torch__.Decoder, parts: List[Tensor]) -> Tensor:
    return torch.stack(parts)

  # Which keys a query sees that looks `window` positions back, itself among them; bool [T, T], true where it does.
  def window_mask(self: __torch__.Decoder, like: Tensor, T: int, window: int) -> Tensor:
    p = torch.arange(0, T, 1, dtype=4, device=like.device)
    back = torch.sub(torch.unsqueeze(p, 1), torch.unsqueeze(p, 0))
    return torch.logical_and(torch.ge(back, 0), torch.lt(back, window))

  # Causal attention of q [B, H, T, D] over k [B, K, T, D] and v [B, K, T, E]; K divides H. Returns [B, T, H * E]. The operator takes
  # keys 512 at a time on a CPU and skips what is hidden only if it is all of these. So of up to 512 queries 64 at a time have
  # their own turn there, with no more keys than they see.
  def attend(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    k4 = self.repeated(k, q)
    v4 = self.repeated(v, q)
    T = torch.size(q, 2)
    if q.is_cuda or T <= 64 or T > 512:
      y = torch.scaled_dot_product_attention(q, k4, v4, None, 0., True, scale=scale)
      return torch.flatten(torch.transpose(y, 1, 2), 2)
    whole = (T + 63) // 64 * 64
    mask = torch.triu(torch.full([64, whole], -inf, dtype=q.dtype, device=q.device), whole - 63)   # of the last queries
    results = annotate(List[Tensor], [])
    for start in range(0, T, 64):
      end = min(start + 64, T)
      seen = mask[0:end - start, whole - 64 - start:whole - 64 - start + end]
      _0 = torch.append(results, self.attend_masked(q[:, :, start:end], k4[:, :, 0:end], v4[:, :, 0:end], seen, scale))
    return torch.cat(results, 1)

  # Attention of one query of each window, q [B, H, 1, D], over all keys; heads that share keys are queries of one head here. Returns
  # [B, 1, H * E]. Not by the operator: how it rounds a few queries depends on the thread that has them.
  def attend_last(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    B = torch.size(q, 0)
    shared = torch.reshape(q, [B, torch.size(k, 1), -1, torch.size(q, 3)])
    scores = torch.mul(torch.matmul(shared, torch.transpose(k, 2, 3)).to(6), scale)
    return torch.reshape(torch.matmul(torch.type_as(torch.softmax(scores, -1), v), v), [B, 1, -1])

  # k with each of its heads as often as heads of q share it.
  def repeated(self: __torch__.Decoder, k: Tensor, q: Tensor) -> Tensor:
    repeats = torch.size(q, 1) // torch.size(k, 1)
    if repeats > 1:
      k = torch.repeat_interleave(k, repeats, 1)
    return k

  # The same over the keys that a mask [T, T] of bool lets through.
  def attend_masked(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
    y = torch.scaled_dot_product_attention(q, self.repeated(k, q), self.repeated(v, q), mask, 0., False, scale=scale)
    return torch.flatten(torch.transpose(y, 1, 2), 2)

  # The same with scores bounded, c * tanh(score / c). A few heads at a time, since all scores would take H * T * T numbers.
  def attend_capped(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, cap: float) -> Tensor:
    T = torch.size(q, 2)
    H = torch.size(q, 1)
    k4 = self.repeated(k, q)
    v4 = self.repeated(v, q)
    hidden = torch.logical_not(mask)
    results = annotate(List[Tensor], [])
    chunk = max(1, 16777216 // (T * T))
    for start in range(0, H, chunk):
      end = min(start + chunk, H)
      scores = torch.mul(torch.matmul(q[:, start:end], torch.transpose(k4[:, start:end], 2, 3)), scale)
      scores = torch.mul(torch.tanh(torch.div(scores, cap)), cap).to(6)
      shares = torch.type_as(torch.softmax(torch.masked_fill(scores, hidden, -3.4028234663852886e+38), -1), q)
      _0 = torch.append(results, torch.matmul(shares, v4[:, start:end]))
    return torch.flatten(torch.transpose(torch.cat(results, 1), 1, 2), 2)

  # Causal attention with linear biases (ALiBi): slope[h] * key position is added to each score; q [B, H, T, D] of the last T of
  # S tokens, k and v [B, K, S, D]. A few heads at a time, since the biases of all would take H * T * T numbers. `rounding` is the type in which the models' own
  # code computes the biases.
  def attend_alibi(self: __torch__.Decoder, q: Tensor, k: Tensor, v: Tensor, slopes: Tensor, scale: float, factor: float, rounding: int) -> Tensor:
    T = torch.size(q, 2)
    S = torch.size(k, 2)
    H = torch.size(q, 1)
    positions = torch.arange(0, S, 1, dtype=4, device=q.device).to(6)
    future = torch.gt(torch.unsqueeze(positions, 0), torch.unsqueeze(positions[S - T:S], 1))     # [T, S]
    k4 = self.repeated(k, q)
    v4 = self.repeated(v, q)
    results = annotate(List[Tensor], [])
    chunk = max(1, 16777216 // (T * S))
    for start in range(0, H, chunk):
      end = min(start + chunk, H)
      bias = torch.mul(torch.reshape(slopes[start:end], [-1, 1, 1]).to(rounding), positions.to(rounding)).to(6)
      bias = torch.mul(bias, factor)                                                             # [chunk, 1, S]
      mask = torch.type_as(torch.masked_fill(torch.expand(bias, [-1, T, S]), future, -3.4028234663852886e+38), q)
      y = torch.scaled_dot_product_attention(q[:, start:end], k4[:, start:end], v4[:, start:end], torch.unsqueeze(mask, 0), 0., False, scale=scale)
      _0 = torch.append(results, y)
    return torch.flatten(torch.transpose(torch.cat(results, 1), 1, 2), 2)

  # What a norm makes of the first n channels of x, from which keys and values follow.
  def first_channels(self: __torch__.Decoder, x: Tensor, n: int) -> Tensor:
    return torch.contiguous(torch.slice(x, -1, 0, n))

  # Multi-head latent attention: q [B, T, H * (p + r)]; kv [B, T, H * (p + e)], of each head p channels of the key and the value;
  # latent [B, T, n + r], whose last r channels are those of all heads' keys that are rotated. Returns queries and keys [B, H, T,
  # p + r], and values [B, H, T, e]; the first token's position is `start`.
  def latent_heads(self: __torch__.Decoder, q: Tensor, kv: Tensor, latent: Tensor, cos: Tensor, sin: Tensor, start: int, interleaved: bool, H: int, p: int) -> Tuple[Tensor, Tensor, Tensor]:
    end = start + torch.size(q, 1)
    r = torch.size(cos, -1)
    c = cos[start:end]
    s = sin[start:end]
    q4 = self.split_heads(q, H)
    kv4 = self.split_heads(kv, H)
    n = torch.size(latent, -1)
    shared = self.rotated(self.split_heads(torch.slice(latent, -1, n - r, n), 1), c, s, interleaved)  # [B, T, 1, r]
    k4 = torch.cat([torch.slice(kv4, -1, 0, p), torch.expand(shared, [-1, -1, H, -1])], -1)
    turned = self.rotated(torch.slice(q4, -1, p, p + r), c, s, interleaved)
    q4 = torch.cat([torch.slice(q4, -1, 0, p), turned], -1)
    v4 = torch.slice(kv4, -1, p, torch.size(kv4, -1))
    return (torch.transpose(q4, 1, 2), torch.transpose(k4, 1, 2), torch.transpose(v4, 1, 2))

  # Log-probabilities, float64 [B * (T - 1)], of tokens 2 .. T given what stands before each; a stretch of positions at
  # a time, since the logits of a whole window can exceed a gigabyte.
  def log_likelihoods(self: __torch__.Decoder, x: Tensor, head: List[Tensor], cap: float, ids: Tensor) -> Tensor:
    T = torch.size(ids, 1)
    hidden = torch.flatten(x[:, 0:T - 1], 0, 1)
    targets = torch.flatten(ids[:, 1:T], 0, 1)
    results = annotate(List[Tensor], [])
    n = torch.size(hidden, 0)
    for start in range(0, n, 256):
      end = min(start + 256, n)
      logits = self.head_logits(hidden[start:end], head[0], head[1], cap)
      target = torch.unsqueeze(targets[start:end], 1)
      chosen = torch.squeeze(torch.gather(logits, 1, target), 1)
      _0 = torch.append(results, torch.sub(chosen, torch.logsumexp(logits, [1])).to(7))
    return torch.cat(results)

  # How M models predict tokens 2 .. T, float64 [3, M, B * (T - 1)]: log-probabilities; the KL divergence from the first model to
  # each; 1. where both have the same most likely token. A stretch of positions at a time, so that the logits of all models
  # stay small, yet enough of them that the products are efficient.
  def compare(self: __torch__.Decoder, xs: List[Tensor], heads: List[Tensor], biases: List[Tensor], caps: List[float], ids: Tensor) -> Tensor:
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
      first = torch.log_softmax(self.head_logits(hidden[0][start:end], heads[0], biases[0], caps[0]), 1)
      best = torch.argmax(first, 1)
      rows = annotate(List[Tensor], [])
      for m in range(M):
        if m == 0:
          other = first
        else:
          other = torch.log_softmax(self.head_logits(hidden[m][start:end], heads[m], biases[m], caps[m]), 1)
        likelihood = torch.squeeze(torch.gather(other, 1, target), 1).to(7)
        divergence = self.kl_divergence(first, other)
        agreement = torch.eq(torch.argmax(other, 1), best).to(7)
        _1 = torch.append(rows, torch.stack([likelihood, divergence, agreement]))
      _2 = torch.append(results, torch.stack(rows, 1))                                           # [3, M, stretch]
    return torch.cat(results, 2)

  # KL divergence of the predictions from y from those from x, both [B, T, C], summed over all positions; float64 [1].
  def divergence(self: __torch__.Decoder, x: Tensor, y: Tensor, head: List[Tensor], cap: float) -> Tensor:
    xs = torch.flatten(x, 0, 1)
    ys = torch.flatten(y, 0, 1)
    total = torch.zeros([1], dtype=7, device=x.device)
    n = torch.size(xs, 0)
    for start in range(0, n, 256):
      end = min(start + 256, n)
      p = torch.log_softmax(self.head_logits(xs[start:end], head[0], head[1], cap), 1)
      q = torch.log_softmax(self.head_logits(ys[start:end], head[0], head[1], cap), 1)
      _0 = torch.add_(total, torch.sum(self.kl_divergence(p, q)))
    return total

  # sum p (log p - log q) at each position, float64 [positions], of log-probabilities [positions, V] in float32.
  def kl_divergence(self: __torch__.Decoder, p: Tensor, q: Tensor) -> Tensor:
    return torch.sum(torch.mul(torch.exp(p), torch.sub(p, q)), [1], dtype=7)

  # Positions start .. end of x, [B, end - start, C].
  def positions(self: __torch__.Decoder, x: Tensor, start: int, end: int) -> Tensor:
    return torch.contiguous(x[:, start:end])

  # Logits in float32, [T, V], of the only window in x.
  def logits(self: __torch__.Decoder, x: Tensor, head: List[Tensor], cap: float) -> Tensor:
    return torch.contiguous(self.head_logits(torch.select(x, 0, 0), head[0], head[1], cap))

  # A token for each of n positions of x [n, 1, C], int64 [n], drawn by the probabilities that the model gives them; draws [n] in
  # [0, 1) choose.
  def drawn(self: __torch__.Decoder, x: Tensor, head: List[Tensor], cap: float, draws: Tensor) -> Tensor:
    hidden = torch.flatten(x, 0, 1)
    results = annotate(List[Tensor], [])
    n = torch.size(hidden, 0)
    stretch = max(64, 4194304 // torch.size(head[0], 0))
    for start in range(0, n, stretch):
      end = min(start + stretch, n)
      shares = torch.softmax(self.head_logits(hidden[start:end], head[0], head[1], cap), 1)
      sums = torch.cumsum(shares, 1, dtype=7)
      V = torch.size(sums, 1)
      bounds = torch.mul(torch.unsqueeze(draws[start:end], 1), sums[:, V - 1:V])
      _0 = torch.append(results, torch.sum(torch.le(sums, bounds), [1]))
    return torch.cat(results)

  # Logits in float32, [n, V], of x [n, C]; bias [V] or [0]; with cap > 0 bounded, cap * tanh(logit / cap).
  def head_logits(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor, cap: float) -> Tensor:
    if torch.numel(bias) > 0:
      y = self.linear_with_bias(x, weight, bias).to(6)
    else:
      y = self.linear(x, weight).to(6)
    if cap > 0.:
      y = torch.mul_(torch.tanh_(torch.div_(y, cap)), cap)
    return y
