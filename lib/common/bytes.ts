/** A string in UTF-8, or a view of bytes as a Buffer over the same memory: nothing is copied. */
export function toBuffer(bytes: string | ArrayBufferView): Buffer {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
