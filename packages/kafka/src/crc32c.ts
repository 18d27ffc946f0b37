/**
 * The checksum of a record batch: CRC-32C, Castagnoli's polynomial (RFC 3720, appendix B.4). Eight bytes a step by eight tables, in which
 * a byte's effect is looked up for each of its places: byte by byte it would take a third of what it takes to make a batch.
 */
export const crc32c: (bytes: Uint8Array) => number = tableDriven();

const polynomial = 0x82f63b78;

function tableDriven(): (bytes: Uint8Array) => number {
  const tables = new Int32Array(8 * 256);
  return (bytes) => {
    if (tables[1] === 0) fillTables(tables);
    let crc = -1;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      const low = crc ^ (byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24));
      crc =
        entry(tables, 7, low & 255) ^
        entry(tables, 6, (low >>> 8) & 255) ^
        entry(tables, 5, (low >>> 16) & 255) ^
        entry(tables, 4, low >>> 24) ^
        entry(tables, 3, byte(bytes, at + 4)) ^
        entry(tables, 2, byte(bytes, at + 5)) ^
        entry(tables, 1, byte(bytes, at + 6)) ^
        entry(tables, 0, byte(bytes, at + 7));
    }
    for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ entry(tables, 0, (crc ^ byte(bytes, at)) & 255);
    return (crc ^ -1) >>> 0;
  };
}

const byte = (bytes: Uint8Array, at: number): number => bytes[at] as number;
const entry = (tables: Int32Array, table: number, value: number): number => tables[table * 256 + value] as number;

function fillTables(tables: Int32Array): void {
  for (let value = 0; value < 256; value += 1) {
    let crc = value;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial;
    tables[value] = crc;
  }
  for (let value = 0; value < 256; value += 1) {
    for (let table = 1; table < 8; table += 1) {
      const before = entry(tables, table - 1, value);
      tables[table * 256 + value] = (before >>> 8) ^ entry(tables, 0, before & 255);
    }
  }
}
