/**
 * The first byte of every node of a stored value; `value.ts` says what follows it.
 *
 * Numbers alone, so that bundlers put them where they are used.
 */

export const JSON_TEXT = 0x4a; // J
export const STRING = 0x53; // S
export const BYTES = 0x42; // B
export const UNDEFINED = 0x55; // U
export const NULL = 0x4e; // N
export const TRUE = 0x54; // T
export const FALSE = 0x46; // F
export const INT = 0x49; // I
export const DOUBLE = 0x44; // D
export const BIGINT = 0x47; // G
export const SHORT = 0x63; // c
export const LONG = 0x73; // s
export const WIDE = 0x77; // w
export const OBJECT = 0x4f; // O
export const ARRAY = 0x41; // A
export const SPARSE = 0x61; // a
export const MAP = 0x4d; // M
export const SET = 0x4c; // L
export const DATE = 0x74; // t
export const REGEXP = 0x52; // R
export const ERROR = 0x45; // E
export const BUFFER = 0x59; // Y
export const VIEW = 0x56; // V
export const BOXED = 0x70; // p
export const REFERENCE = 0x40; // @
