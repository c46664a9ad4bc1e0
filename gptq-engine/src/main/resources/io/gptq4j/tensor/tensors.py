class Tensors(Module):
  # What is done with tensors of any meaning, one method each: their bytes, types and places, values that are none, and weights
  # from the codes that stand for them. Types are numbers: 0 uint8, 4 int64, 5 float16, 6 float32, 24 an 8-bit float (E4M3).
  __parameters__ = []
  __buffers__ = []

  # Raw little-endian bytes as a tensor of floating type `stored`, converted to `wanted`.
  def decode_as(self: __torch__.Tensors, raw: Tensor, stored: int, wanted: int, shape: List[int]) -> Tensor:
    return torch.reshape(torch.contiguous(torch.view_copy(raw, dtype=stored).to(wanted)), shape)

  # The bytes of x, [bytes] uint8; decode_as is the way back.
  def to_bytes(self: __torch__.Tensors, x: Tensor) -> Tensor:
    return torch.view_copy(torch.flatten(torch.contiguous(x)), dtype=0)

  # The number of the type of x, and the bytes of an element; [2].
  def type_and_width(self: __torch__.Tensors, x: Tensor) -> Tensor:
    return torch.tensor([x.dtype, torch.element_size(x)])

  def placed(self: __torch__.Tensors, x: Tensor, device: str) -> Tensor:
    return x.to(torch.device(device))

  def reshaped(self: __torch__.Tensors, x: Tensor, shape: List[int]) -> Tensor:
    return torch.clone(torch.reshape(x, shape))

  def transposed(self: __torch__.Tensors, x: Tensor) -> Tensor:
    return torch.contiguous(torch.t(x))

  # How many elements are NaN or infinite; 0-dimensional. They are counted only if the range, which is found faster, has one.
  def count_not_finite(self: __torch__.Tensors, x: Tensor) -> Tensor:
    low, high = torch.aminmax(x)
    if bool(torch.isfinite(low)):
      if bool(torch.isfinite(high)):
        return torch.zeros([], dtype=4, device=x.device)
    return torch.sum(torch.logical_not(torch.isfinite(x))).to(4)

  # How many elements of x are NaN or infinite, and the first one's position in row-major order; [2]. There must be one.
  def not_finite(self: __torch__.Tensors, x: Tensor) -> Tensor:
    bad = torch.flatten(torch.nonzero(torch.logical_not(torch.isfinite(torch.flatten(x)))))
    return torch.stack([torch.tensor(torch.size(bad, 0), dtype=4, device=x.device), torch.select(bad, 0, 0)])

  # W[o, i] = scale[g_idx[i], o] * (codes[o, i] - zero[g_idx[i], o]) as dtype, with scales as float16 stores them; codes
  # [out, n], scale and zero [G, out]. With group > 0, g_idx[i] = i / group. Some rows at a time, so that what is in
  # float32 stays small.
  def dequantized(self: __torch__.Tensors, codes: Tensor, scale: Tensor, zero: Tensor, g_idx: Tensor, group: int, dtype: int) -> Tensor:
    W = torch.empty(torch.size(codes), dtype=dtype, device=codes.device)
    stored = torch.contiguous(torch.t(scale.to(5).to(6)))                                        # [out, G]
    zeros = torch.contiguous(torch.t(zero))
    part = torch.empty([256, torch.size(codes, 1)], dtype=6, device=codes.device)
    for start in range(0, torch.size(codes, 0), 256):
      end = min(start + 256, torch.size(codes, 0))
      w = torch.copy_(part[0:end - start], codes[start:end])
      if group > 0:
        q = torch.reshape(w, [end - start, -1, group])                                           # [256, G, group]
        _0 = torch.mul_(torch.sub_(q, torch.unsqueeze(zeros[start:end], 2)), torch.unsqueeze(stored[start:end], 2))
      else:
        z = torch.index_select(zeros[start:end], 1, g_idx)
        _1 = torch.mul_(torch.sub_(w, z), torch.index_select(stored[start:end], 1, g_idx))
      _2 = torch.copy_(W[start:end], w)
    return W

  # Bytes of 8-bit floats (E4M3) as matrices [M, R, C], each element times the scale of its block, converted to `wanted`.
  def decode_scaled(self: __torch__.Tensors, raw: Tensor, scales: Tensor, matrices: List[int], block: List[int], wanted: int, shape: List[int]) -> Tensor:
    x = torch.reshape(torch.view_copy(raw, dtype=24).to(6), matrices)
    R = torch.size(x, 1)
    down = (R + block[0] - 1) // block[0]
    of_rows = torch.repeat_interleave(torch.reshape(scales, [torch.size(x, 0), down, -1]), block[0], 1)
    for j in range(torch.size(of_rows, 2)):
      scale = torch.slice(torch.slice(of_rows, 1, 0, R), 2, j, j + 1)                            # [M, R, 1]
      _0 = torch.mul_(torch.slice(x, 2, j * block[1], (j + 1) * block[1]), scale)
    return torch.reshape(x.to(wanted), shape)
