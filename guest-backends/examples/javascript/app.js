// A storage backend in JavaScript: records in a map, in the component's own memory.
//
// This file keeps records and knows no rules; `in_memory.js` adds what the contract asks of every backend.

import { inMemory } from './in_memory.js';

const description = {
  name: 'example-js',
  version: '0.1.0',
  instances: 'singleton',
  durable: false,
  maxBodyBytes: 1n << 20n,
  maxBatch: 1000,
};

/** The records by key, which is made one text: a map would tell two equal objects apart. */
class Records {
  byKey = new Map();

  get(key) {
    return this.byKey.get(nameOf(key));
  }

  all() {
    return this.byKey.values();
  }

  insert(record) {
    this.byKey.set(nameOf(record.draft.key), record);
  }

  remove(key) {
    this.byKey.delete(nameOf(key));
  }
}

function nameOf({ collection, id }) {
  return JSON.stringify([collection, id]);
}

// What the component exports.
export const { lifecycle, store, transfer } = inMemory(description, new Records());
