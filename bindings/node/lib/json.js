'use strict';

// Values as JSON. As JSON.stringify writes them, but for what that changes in silence: BigInts are written
// as numbers, exactly; NaN, the infinities, invalid dates, unpaired surrogates and objects of which it would leave
// nothing are refused.

/** How deep arrays and objects may nest: the core's limit. */
const DEEPEST = 128;
/** How much of a path is shown in an error. */
const LONGEST_PATH = 200;

// Node.js 18 has no isWellFormed.
const isWellFormed =
  typeof String.prototype.isWellFormed === 'function'
    ? (text) => text.isWellFormed()
    : (text) => !/\p{Surrogate}/u.test(text);
// Nor rawJSON.
const isRaw = JSON.isRawJSON ?? (() => false);

const tagOf = (value) => Object.prototype.toString.call(value);

/** What can't be sent, and where it is. */
class Refusal extends TypeError {}

class Writer {
  /** The names and indexes that lead to the value that is being written. */
  path = [];

  write(value, depth) {
    switch (typeof value) {
      case 'string':
        return this.string(value, depth);
      case 'number':
        if (!Number.isFinite(value)) throw this.refusal(depth, `is ${value}, which can't be sent`);
        return String(value);
      case 'boolean':
        return value ? 'true' : 'false';
      case 'bigint':
        return String(value);
      case 'object':
        return value === null ? 'null' : this.object(value, depth);
      case 'function':
        return typeof value.toJSON === 'function' ? this.object(value, depth) : undefined;
      default:
        return undefined;
    }
  }

  string(text, depth) {
    if (!isWellFormed(text)) {
      throw this.refusal(depth, "has an unpaired surrogate, which can't be sent");
    }
    return JSON.stringify(text);
  }

  object(value, depth) {
    if (typeof value.toJSON === 'function') {
      if (tagOf(value) === '[object Date]' && Number.isNaN(Number(value))) {
        throw this.refusal(depth, "is an invalid date, which can't be sent");
      }
      const key = depth === 0 ? '' : String(this.path[depth - 1]);
      const plain = value.toJSON(key);
      if (typeof plain !== 'object' || plain === null) return this.write(plain, depth);
      value = plain;
    }
    if (Array.isArray(value)) return this.array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null) {
      if (isRaw(value)) return value.rawJSON;
    } else if (prototype !== Object.prototype) {
      const tag = tagOf(value);
      if (tag === '[object Number]') return this.write(Number(value), depth);
      if (tag === '[object String]') return this.write(String(value), depth);
      if (tag === '[object Boolean]' || tag === '[object BigInt]') {
        return this.write(value.valueOf(), depth);
      }
      if (typeof value === 'function') return undefined;
      // JSON.stringify makes `{}` of a Map, or of a promise that nobody has waited for.
      if (tag !== '[object Object]' && Object.keys(value).length === 0) {
        throw this.refusal(depth, `is of type ${tag.slice(8, -1)}, which can't be written as JSON`);
      }
    }
    return this.members(value, depth);
  }

  array(values, depth) {
    this.goDeeper(depth);
    let text = '[';
    for (let i = 0; i < values.length; i++) {
      this.path[depth] = i;
      if (i > 0) text += ',';
      text += this.write(values[i], depth + 1) ?? 'null';
    }
    return `${text}]`;
  }

  members(object, depth) {
    this.goDeeper(depth);
    let text = '{';
    for (const name of Object.keys(object)) {
      this.path[depth] = name;
      const value = this.write(object[name], depth + 1);
      if (value === undefined) continue;
      if (text.length > 1) text += ',';
      text += `${this.string(name, depth + 1)}:${value}`;
    }
    return `${text}}`;
  }

  goDeeper(depth) {
    if (depth === DEEPEST) {
      this.path.length = 0;
      throw this.refusal(0, `nests deeper than ${DEEPEST} levels, or contains itself`);
    }
  }

  refusal(depth, why) {
    let place = '';
    for (const step of this.path.slice(0, depth)) {
      if (typeof step === 'number') place += `[${step}]`;
      else place += place === '' ? step : `.${step}`;
      if (place.length > LONGEST_PATH) {
        place = `${place.slice(0, LONGEST_PATH)}…`;
        break;
      }
    }
    return new Refusal(place === '' ? why : `${place} ${why}`);
  }
}

/**
 * The JSON of a value; undefined if it has none, as a function has none. Throws a Refusal of what can't be
 * sent.
 */
function stringify(value) {
  return new Writer().write(value, 0);
}

module.exports = { Refusal, stringify };
