/**
 * Spells out characters that are invisible or reorder text: a zero width space becomes [U+200B].
 * Joiners and variation selectors stay where they have an effect. shared/visible does the same in Go, and both run its
 * testdata/cases.json.
 */
type Span = readonly [first: number, last: number];

/** The control characters but line feed and tab, Default_Ignorable_Code_Point, separators, annotations, half pairs. */
const HIDDEN: readonly Span[] = [
  [0x00, 0x08], [0x0b, 0x1f], [0x7f, 0x9f], [0xad, 0xad], [0x034f, 0x034f], [0x061c, 0x061c], [0x115f, 0x1160], [0x17b4, 0x17b5],
  [0x180b, 0x180f], [0x200b, 0x200f], [0x2028, 0x202e], [0x2060, 0x206f], [0x3164, 0x3164], [0xd800, 0xdfff], [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff], [0xffa0, 0xffa0], [0xfff0, 0xfffb], [0xfffe, 0xffff], [0x1bca0, 0x1bca3], [0x1d173, 0x1d17a], [0xe0000, 0xe0fff],
];

/** Symbols and emoji that joiners and the text and emoji styles act on. */
const PICTURES: readonly Span[] = [
  [0xa9, 0xa9], [0xae, 0xae], [0x203c, 0x203c], [0x2049, 0x2049], [0x2122, 0x2122], [0x2139, 0x2139], [0x2190, 0x21ff],
  [0x2300, 0x23ff], [0x24c2, 0x24c2], [0x25a0, 0x27bf], [0x2934, 0x2935], [0x2b00, 0x2bff], [0x3030, 0x3030], [0x303d, 0x303d],
  [0x3297, 0x3297], [0x3299, 0x3299], [0x1f000, 0x1f3fa], [0x1f400, 0x1faff],
];

/** Letters and vowel signs whose form depends on their neighbours. */
const JOINING: readonly Span[] = [
  [0x0620, 0x065f], [0x066e, 0x06d3], [0x06d5, 0x06dc], [0x06df, 0x06e8], [0x06ea, 0x06ef], [0x06fa, 0x06ff], [0x0710, 0x077f],
  [0x07ca, 0x07f5], [0x0840, 0x085b], [0x0860, 0x086a], [0x0870, 0x0887], [0x0889, 0x088e], [0x0898, 0x08e1], [0x08e3, 0x08ff],
  [0x1807, 0x1807], [0x1820, 0x18aa], [0xa840, 0xa873], [0x10ac0, 0x10ae6], [0x10d00, 0x10d27], [0x1e900, 0x1e94b],
];

/** The signs that join consonants in the scripts of India and its neighbours. */
const VIRAMAS: readonly Span[] = [
  [0x094d, 0x094d], [0x09cd, 0x09cd], [0x0a4d, 0x0a4d], [0x0acd, 0x0acd], [0x0b4d, 0x0b4d], [0x0bcd, 0x0bcd], [0x0c4d, 0x0c4d],
  [0x0ccd, 0x0ccd], [0x0d3b, 0x0d3c], [0x0d4d, 0x0d4d], [0x0dca, 0x0dca], [0x1039, 0x103a], [0x1714, 0x1715], [0x1734, 0x1734],
  [0x17d2, 0x17d2], [0x1a60, 0x1a60], [0x1b44, 0x1b44], [0x1baa, 0x1bab], [0xa806, 0xa806], [0xa8c4, 0xa8c4], [0xa953, 0xa953],
  [0xa9c0, 0xa9c0], [0xaaf6, 0xaaf6], [0xabed, 0xabed], [0x11046, 0x11046], [0x110b9, 0x110b9], [0x11133, 0x11134],
  [0x111c0, 0x111c0], [0x11235, 0x11235], [0x1134d, 0x1134d], [0x11442, 0x11442], [0x114c2, 0x114c2], [0x115bf, 0x115bf],
  [0x1163f, 0x1163f], [0x116b6, 0x116b6], [0x11839, 0x11839],
];

/** Scripts in which a joiner may stand before the sign that joins. */
const INDIC: readonly Span[] = [[0x0900, 0x1fff], [0xa800, 0xabff], [0x11000, 0x11fff]];

/** Han characters, of which selectors choose variants. */
const IDEOGRAPHS: readonly Span[] = [[0x3007, 0x3007], [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xf900, 0xfaff], [0x20000, 0x323af]];

/** Letters of Myanmar and Phags-pa of which the first selector chooses a variant. */
const VARIANTS: readonly Span[] = [[0x1000, 0x109f], [0xa840, 0xa873], [0xaa60, 0xaa7f]];

const NON_JOINER = 0x200c;
const JOINER = 0x200d;

/** A text of several lines: line feeds and tabs stay. */
export function visibleText(text: string): string {
  return shown(text, false);
}

/** A text that has to stand on one line, such as a title or a choice. */
export function visibleLine(text: string): string {
  return shown(text, true);
}

/** The same string for all texts that look equal to a person: composed, with single spaces, without hidden characters. */
export function textKey(text: string): string {
  const all = [...text];
  const tracker = new Tracker();
  const seen = all.filter((char, at) => !tracker.hides(char.codePointAt(0)!, all[at + 1]?.codePointAt(0) ?? 0));
  return seen.join("").replace(/[\s\u0085]+/gu, " ").trim().normalize("NFC");
}

function shown(text: string, oneLine: boolean): string {
  // Fast path: nearly every text is plain ASCII.
  // oxlint-disable-next-line no-control-regex
  if (!oneLine && /^[\t\n\x20-\x7e]*$/.test(text)) return text;
  const all = [...text];
  const tracker = new Tracker();
  return all.map((char, at) => {
    const code = char.codePointAt(0)!;
    const hides = tracker.hides(code, all[at + 1]?.codePointAt(0) ?? 0);
    return hides || (oneLine && (code === 0x0a || code === 0x09)) ? `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]` : char;
  }).join("");
}

/** Decides character by character what is hidden. */
class Tracker {
  /** The last character that joiners and selectors would act on. */
  #base = 0;
  /** Nothing stands between it and the next character. */
  #direct = false;
  #joined = false;

  hides(code: number, next: number): boolean {
    if (!within(code, HIDDEN)) {
      const skinTone = code >= 0x1f3fb && code <= 0x1f3ff && within(this.#base, PICTURES);
      if (!skinTone) this.#base = code;
      this.#direct = this.#base === code;
      this.#joined = false;
      return false;
    }
    const isJoiner = code === JOINER || code === NON_JOINER;
    const effect = isJoiner ? !this.#joined && joins(code, this.#base, next) : this.#direct && selects(code, this.#base, next);
    if (!effect) this.#base = 0;
    this.#direct = false;
    this.#joined = isJoiner;
    return !effect;
  }
}

/** Whether a joiner has an effect between two characters. */
function joins(code: number, base: number, next: number): boolean {
  if (within(base, VIRAMAS)) return true;
  if (within(next, VIRAMAS) && code === JOINER) return within(base, INDIC);
  if (code === NON_JOINER) return within(base, JOINING) && within(next, JOINING);
  if (within(base, PICTURES)) return within(next, PICTURES);
  return within(base, JOINING) || within(next, JOINING);
}

/** Whether a variation selector has an effect on a character. */
function selects(code: number, base: number, next: number): boolean {
  if (code === 0xfe0e) return within(base, PICTURES);
  if (code === 0xfe0f) return within(base, PICTURES) || (next === 0x20e3 && /[0-9#*]/.test(String.fromCodePoint(base)));
  if (code === 0xfe00) return within(base, IDEOGRAPHS) || within(base, VARIANTS);
  if ((code >= 0xe0100 && code <= 0xe01ef) || code === 0xfe01 || code === 0xfe02) return within(base, IDEOGRAPHS);
  return code >= 0x180b && code <= 0x180f && code !== 0x180e && base >= 0x1820 && base <= 0x18aa;
}

function within(code: number, spans: readonly Span[]): boolean {
  for (let at = 0; at < spans.length; at++) { // they are in order
    const [first, last] = spans[at]!;
    if (code <= last) return first <= code;
  }
  return false;
}
