// What the contract asks of every backend: expiry, preconditions, sizes, order, cursors and pages.

const utf8 = new TextEncoder();

// The code that componentize-js 0.23 generates reads every text from the host with `new TextDecoder()`, which
// drops a leading U+FEFF: two ids would be one. Text is compared byte for byte, so all of it must come through.
const wholeText = new TextDecoder('utf-8', { ignoreBOM: true });
const decode = TextDecoder.prototype.decode;
TextDecoder.prototype.decode = (...bytes) => decode.apply(wholeText, bytes);

/** From the instant `expiresAt` on, not after it. */
export function isExpired({ draft }, now) {
  return draft.expiresAt !== undefined && draft.expiresAt <= now;
}

/** A key as one text: a map would tell two equal objects apart. */
export function nameOf({ collection, id }) {
  return JSON.stringify([collection, id]);
}

/** The error where a precondition does not hold; none where it does. `current` is not expired. */
export function broken(expect, key, current) {
  if (expect.tag === 'none') return undefined;
  if (expect.tag === 'absent') return current && { tag: 'already-exists', val: key };
  if (!current) return { tag: 'not-found', val: key };
  const stale = expect.tag === 'unchanged-since' && expect.val !== current.stamp.modRevision;
  return stale ? { tag: 'conflict', val: current } : undefined;
}

/** How many bytes a record counts for in a page: its body, its id and its attributes, in UTF-8. */
export function size({ key, body, attributes }) {
  let bytes = body.length + bytesOf(key.id);
  for (const { name, value } of attributes) bytes += bytesOf(name) + bytesOf(value);
  return bytes;
}

/** The contract counts bytes of UTF-8; `text.length` counts units of UTF-16. */
function bytesOf(text) {
  return utf8.encode(text).length;
}

/** An upper bound of the memory that a record takes: UTF-16 takes up to two bytes for one of UTF-8. */
export function cost(draft) {
  const texts = size(draft) - draft.body.length + bytesOf(draft.key.collection);
  return draft.body.length + 4 * texts + 300 * draft.attributes.length + 1500;
}

export function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** By bytes of UTF-8, which is by code points; `<` goes by units of UTF-16, which is another order. */
export function compareText(a, b) {
  const [left, right] = [[...a], [...b]];
  const at = left.findIndex((character, index) => character !== right[index]);
  if (at < 0) return left.length - right.length;
  return at < right.length ? left[at].codePointAt(0) - right[at].codePointAt(0) : 1;
}

export function isSameStamp(a, b) {
  return ['createRevision', 'modRevision', 'createdAt', 'updatedAt'].every(
    (field) => a[field] === b[field],
  );
}

/**
 * One page of `records`: everything that matches, in any order. `query` tells this query from every
 * other one, `position` names the revision that sorts it.
 */
export function page(records, query, position, maxBytes, { after, limit, descending, bodies }) {
  const start = readCursor(after, query);
  const at = (record) => record.stamp[position];
  const rest = records.filter(
    (record) => start === undefined || (descending ? at(record) < start : at(record) > start),
  );
  rest.sort((a, b) => (descending ? compare(at(b), at(a)) : compare(at(a), at(b))));
  const taken = [];
  let total = 0;
  for (const { draft, stamp } of rest) {
    const record = { draft: bodies ? draft : { ...draft, body: new Uint8Array() }, stamp };
    total += size(record.draft);
    if (taken.length > 0 && (taken.length === limit || total > maxBytes)) {
      return { records: taken, next: cursor(at(taken.at(-1)), query) };
    }
    taken.push(record);
  }
  return { records: taken, next: undefined };
}

/** A position and a check sum, not a place in a list: it stays good while records come and go. */
function cursor(position, query) {
  return `${position}-${checkSum(JSON.stringify([`${position}`, query]))}`;
}

function readCursor(text, query) {
  if (text === undefined) return undefined;
  const digits = text.split('-')[0];
  const position = /^[0-9]{1,19}$/.test(digits) ? BigInt(digits) : 0n;
  if (cursor(position, query) !== text) {
    throw { tag: 'invalid', val: 'the cursor is garbled, or belongs to another query' };
  }
  return position;
}

/** FNV-1a, 64 bits. */
function checkSum(text) {
  let sum = 0xcbf29ce484222325n;
  for (const byte of utf8.encode(text)) {
    sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n);
  }
  return sum.toString(16);
}
