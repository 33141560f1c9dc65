// A whole backend over records in the component's own memory.
//
// `inMemory(description, records)` answers the three objects that a component exports, one for each
// interface in `wit/store.wit`. `records` keeps what it is given and knows no rules; it has
//
// - `get(key)`: the record under a key, or undefined;
// - `all()`: every record, in any order;
// - `insert(record)`: keeps a record; there is none under its key;
// - `remove(key)`: gives the record under a key up, if there is one.
//
// An error is thrown as `{ tag, val }`; a 64-bit number is a BigInt.

import { now } from 'mortise:persistence/clock@0.1.0';
import * as rules from './rules.js';

const LAST_REVISION = 2n ** 63n - 1n;
const NOT_OPEN = { tag: 'internal', val: 'a call came before open' };

// The one store of this instance: none before `open`.
let opened;

function shelf() {
  if (!opened) throw NOT_OPEN;
  return opened;
}

/** The records, expired ones too until they are swept, and the last write's revision. */
class Shelf {
  cost = 0;
  revision = 0n;

  constructor(records, maxPageBytes, maxStoreBytes) {
    this.records = records;
    this.maxPageBytes = maxPageBytes;
    this.maxStoreBytes = maxStoreBytes;
  }

  get(key, now) {
    const record = this.records.get(key);
    return record && !rules.isExpired(record, now) ? record : undefined;
  }

  unexpired(now) {
    return [...this.records.all()].filter((record) => !rules.isExpired(record, now));
  }

  put(record) {
    this.take(record.draft.key);
    this.cost += rules.cost(record.draft);
    this.records.insert(record);
  }

  take(key) {
    const record = this.records.get(key);
    if (!record) return;
    this.cost -= rules.cost(record.draft);
    this.records.remove(key);
  }

  /** All writes or none: each one is checked before the first one happens. */
  write(batch) {
    const time = now();
    let more = 0;
    batch.forEach(({ tag, val }, index) => {
      const key = tag === 'put' ? val.draft.key : val.key;
      const current = this.get(key, time);
      const error = rules.broken(val.expect, key, current);
      if (error) throw { index, error };
      if (tag === 'put') more += rules.cost(val.draft);
      if (current) more -= rules.cost(current.draft);
    });
    if (BigInt(batch.length) > LAST_REVISION - this.revision) {
      throw { index: 0, error: { tag: 'internal', val: 'the revisions are used up' } };
    }
    if (!this.hasRoom(more, time)) throw { index: 0, error: this.full() };
    return batch.map(({ tag, val }) => {
      if (tag === 'put') return this.writeOne(val.draft.key, val.draft, time);
      return this.writeOne(val.key, undefined, time);
    });
  }

  writeOne(key, draft, time) {
    this.revision += 1n;
    const created = this.get(key, time)?.stamp;
    const stamp = {
      createRevision: created?.createRevision ?? this.revision,
      modRevision: this.revision,
      createdAt: created?.createdAt ?? time,
      updatedAt: time,
    };
    this.take(key);
    if (draft) this.put({ draft, stamp });
    return stamp;
  }

  /** What shrinks the store is always welcome; what is expired makes room. */
  hasRoom(more, now) {
    if (more > 0 && this.cost + more > this.maxStoreBytes) this.sweep(now);
    return more <= 0 || this.cost + more <= this.maxStoreBytes;
  }

  full() {
    const val = `the store is full: its records may take ${this.maxStoreBytes} bytes`;
    return { tag: 'too-large', val };
  }

  sweep(now, limit = Infinity) {
    const expired = [...this.records.all()].filter((record) => rules.isExpired(record, now));
    expired.sort((a, b) => rules.compare(a.draft.expiresAt, b.draft.expiresAt));
    const first = expired.slice(0, limit);
    first.forEach((record) => this.take(record.draft.key));
    return first.length;
  }
}

/** What a component exports: its description, and the contract over records. */
export function inMemory(description, records) {
  const lifecycle = {
    describe: () => description,

    open(options) {
      if (opened) throw { tag: 'internal', val: 'open was called twice' };
      const given = new Map([['max-page-bytes'], ['max-store-bytes']]);
      for (const [name, value] of options) {
        if (!given.has(name)) {
          const known = [...given.keys()].join(', ');
          throw { tag: 'invalid', val: `unknown option "${name}"; known: ${known}` };
        }
        if (!/^[0-9]+$/.test(value)) {
          throw { tag: 'invalid', val: `option ${name}: "${value}" is not a whole number` };
        }
        given.set(name, Number(value));
      }
      for (const [name, value] of given) {
        if (value === undefined) throw { tag: 'invalid', val: `option ${name} is missing` };
      }
      opened = new Shelf(records, given.get('max-page-bytes'), given.get('max-store-bytes'));
    },

    health() {
      shelf();
    },
  };
  return { lifecycle: loud(lifecycle), store: loud(store), transfer: loud(transfer) };
}

/** A mistake in our code is a trap, and its message is lost: so that it goes to the host's log before. */
function loud(functions) {
  const heard = ([name, call]) => {
    const logged = (...given) => {
      try {
        return call(...given);
      } catch (error) {
        if (error instanceof Error) console.error(`${name}: ${error}\n${error.stack}`);
        throw error;
      }
    };
    return [name, logged];
  };
  return Object.fromEntries(Object.entries(functions).map(heard));
}

const store = {
  create: (draft) => writeOne({ tag: 'put', val: { draft, expect: { tag: 'absent' } } }),

  load: (key) => shelf().get(key, now()),

  loadMany(keys) {
    const time = now();
    const found = keys.map((key) => shelf().get(key, time));
    const size = found.reduce((sum, record) => sum + (record ? rules.size(record.draft) : 0), 0);
    if (size > opened.maxPageBytes) {
      const val = `the records are over ${opened.maxPageBytes} bytes: ask for fewer`;
      throw { tag: 'too-large', val };
    }
    return found;
  },

  update: (draft, expect) => writeOne({ tag: 'put', val: { draft, expect: present(expect) } }),

  delete(key, expect) {
    writeOne({ tag: 'remove', val: { key, expect: present(expect) } });
  },

  find(query) {
    const wanted = query.attributes;
    const matching = shelf().unexpired(now()).filter(
      ({ draft: { key, attributes } }) =>
        key.collection === query.collection &&
        wanted.every(({ name, value }) =>
          attributes.some((pair) => pair.name === name && pair.value === value),
        ),
    );
    const pairs = wanted.map(({ name, value }) => JSON.stringify([name, value])).sort();
    const position = query.order === 'updated' ? 'modRevision' : 'createRevision';
    const identity = ['find', query.collection, pairs, query.order, query.descending];
    return rules.page(matching, identity, position, opened.maxPageBytes, query);
  },

  apply(batch) {
    if (!opened) throw { index: 0, error: NOT_OPEN };
    return opened.write(batch).map((stamp) => stamp.modRevision);
  },
};

/** A batch of one, which fails with the error alone. */
function writeOne(write) {
  const kept = shelf();
  try {
    return kept.write([write])[0];
  } catch (rejection) {
    throw rejection.error ?? rejection;
  }
}

function present(expect) {
  return expect === undefined ? { tag: 'present' } : { tag: 'unchanged-since', val: expect };
}

const transfer = {
  export(after, limit) {
    const asked = { after, limit, descending: false, bodies: true };
    const all = shelf().unexpired(now());
    return rules.page(all, ['export'], 'createRevision', opened.maxPageBytes, asked);
  },

  import(imported) {
    const kept = shelf();
    const time = now();
    const owners = new Map();
    for (const { draft, stamp } of kept.unexpired(time)) {
      for (const revision of revisions(stamp)) owners.set(revision, rules.nameOf(draft.key));
    }
    const fresh = new Map();
    for (const record of imported) {
      const name = rules.nameOf(record.draft.key);
      const there = fresh.get(name) ?? kept.get(record.draft.key, time);
      if (there) {
        if (rules.isSameStamp(there.stamp, record.stamp)) continue;
        throw { tag: 'conflict', val: there };
      }
      for (const revision of revisions(record.stamp)) {
        if ((owners.get(revision) ?? name) !== name) {
          throw { tag: 'invalid', val: `revision ${revision} belongs to another record` };
        }
        owners.set(revision, name);
      }
      fresh.set(name, record);
    }
    let more = 0;
    for (const record of fresh.values()) more += rules.cost(record.draft);
    if (!kept.hasRoom(more, time)) throw kept.full();
    for (const record of fresh.values()) {
      kept.put(record);
      for (const revision of revisions(record.stamp)) {
        if (revision > kept.revision) kept.revision = revision;
      }
    }
  },

  sweep: (limit) => shelf().sweep(now(), limit),

  clear(collection) {
    const kept = shelf();
    const time = now();
    const gone = [...kept.records.all()].filter(
      ({ draft }) => collection === undefined || draft.key.collection === collection,
    );
    gone.forEach((record) => kept.take(record.draft.key));
    return BigInt(gone.filter((record) => !rules.isExpired(record, time)).length);
  },

  statistics() {
    const counted = new Map();
    for (const { draft } of shelf().unexpired(now())) {
      const collection = draft.key.collection;
      const counts = counted.get(collection) ?? { collection, records: 0n, bodyBytes: 0n };
      counts.records += 1n;
      counts.bodyBytes += BigInt(draft.body.length);
      counted.set(collection, counts);
    }
    return [...counted.values()].sort((a, b) => rules.compareText(a.collection, b.collection));
  },
};

function revisions(stamp) {
  return [stamp.createRevision, stamp.modRevision];
}
