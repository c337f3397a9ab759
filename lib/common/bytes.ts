/** What a serializer returned, as a Buffer over the same memory. */
export function toBuffer(serialized: string | Uint8Array): Buffer {
  if (typeof serialized === 'string') return Buffer.from(serialized);
  return Buffer.from(serialized.buffer, serialized.byteOffset, serialized.byteLength);
}
