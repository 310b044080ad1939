//! Pickles: which of Python's names one imports when it is loaded. Nothing is evaluated: opcodes are walked, and texts
//! that were pushed are remembered for the opcode that imports by what lies on the stack.
//!
//! Opcodes and their arguments: CPython, `pickletools`, protocols 0 to 5.

use std::collections::{BTreeMap, BTreeSet};

/// What a pickle imports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// `module.name` by which anything can be run.
    pub(super) dangerous: BTreeSet<String>,
    /// All others, as long as they are from no standard collection.
    pub(super) others: BTreeSet<String>,
}

/// Names of a pickle that are kept.
const MOST: usize = 100;
/// The longest name, in bytes.
const LONGEST: usize = 200;
/// Texts that pickles remember to use again.
const MOST_REMEMBERED: usize = 100_000;

/// Modules of which every name runs something, opens something, or reaches those that do.
const MODULES: [&str; 18] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "pty",
    "socket",
    "shutil",
    "runpy",
    "importlib",
    "imp",
    "ctypes",
    "commands",
    "webbrowser",
    "code",
    "pdb",
    "bdb",
    "timeit",
    "pip",
];
/// Dangerous names of other modules.
const NAMES: [&str; 12] = [
    "builtins.eval",
    "builtins.exec",
    "builtins.compile",
    "builtins.open",
    "builtins.__import__",
    "builtins.globals",
    "builtins.breakpoint",
    "sys.modules",
    "sys.settrace",
    "operator.methodcaller",
    "urllib.request.urlopen",
    "numpy.testing._private.utils.runstring",
];
/// Modules of which pickles of plain data and numbers are full.
const HARMLESS: [&str; 7] = ["collections", "copyreg", "datetime", "decimal", "fractions", "numpy", "torch"];

/// Whether a file begins as a pickle does, or as the zip archive that PyTorch puts one into.
pub(super) fn is_one(head: &[u8]) -> bool {
    match head {
        [0x80, 0..=5, ..] | [b'P', b'K', 3, 4, ..] => true,
        // Protocol 0 begins with a text, a mark or an import.
        [b'c' | b'(' | b']' | b'}', ..] => true,
        _ => false,
    }
}

/// What the pickle, or the first pickles in an archive, import.
pub(super) fn imports(content: &[u8]) -> Imports {
    let mut imports = Imports::default();
    if content.starts_with(b"PK\x03\x04") {
        // PyTorch stores its pickles uncompressed, `<name>/data.pkl` first.
        for at in memchr::memmem::find_iter(content, b"data.pkl").take(4) {
            let body = &content[at + b"data.pkl".len()..];
            let start = memchr::memmem::find(&body[..body.len().min(4096)], b"\x80\x02");
            if let Some(start) = start {
                walk(&body[start..], &mut imports);
            }
        }
    } else {
        walk(content, &mut imports);
    }
    imports
}

impl Imports {
    fn add(&mut self, module: &[u8], name: &[u8]) {
        let (module, name) = (String::from_utf8_lossy(module), String::from_utf8_lossy(name));
        let module = if module == "__builtin__" { "builtins".into() } else { module };
        let text = format!("{module}.{name}");
        let is_word = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
            !text.is_empty() && text.bytes().all(is_part)
        };
        if !is_word(&module) || !is_word(&name) || text.len() > LONGEST {
            return;
        }
        let top = module.split('.').next().unwrap_or_default();
        let kept = if MODULES.contains(&top) || NAMES.contains(&text.as_str()) {
            &mut self.dangerous
        } else if HARMLESS.contains(&top) || top == "builtins" {
            return;
        } else {
            &mut self.others
        };
        if kept.len() < MOST {
            kept.insert(text);
        }
    }
}

/// Goes through the opcodes as far as they are known; each takes a byte at least.
fn walk(content: &[u8], imports: &mut Imports) {
    let mut walker = Walker { rest: content, texts: [b"", b""], memo: BTreeMap::new(), remembered: 0 };
    while walker.step(imports).is_some() {}
}

struct Walker<'a> {
    rest: &'a [u8],
    /// The last two texts that were pushed, the newest last.
    texts: [&'a [u8]; 2],
    memo: BTreeMap<u64, &'a [u8]>,
    /// How many values were remembered in order.
    remembered: u64,
}

impl<'a> Walker<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.rest)?;
        let line = self.take(end)?;
        self.take(1)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// An unsigned number of so many bytes, little endian.
    fn number(&mut self, length: usize) -> Option<u64> {
        let bytes = self.take(length)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn counted(&mut self, length: usize) -> Option<&'a [u8]> {
        let count = self.number(length)?;
        self.take(usize::try_from(count).ok()?)
    }

    fn push(&mut self, text: &'a [u8]) {
        self.texts = [self.texts[1], text];
    }

    fn remember(&mut self, key: u64) {
        if self.memo.len() < MOST_REMEMBERED {
            self.memo.insert(key, self.texts[1]);
        }
    }

    fn recall(&mut self, key: u64) {
        if let Some(text) = self.memo.get(&key) {
            self.push(text);
        }
    }

    /// One opcode; `None` at the end, and where it is none.
    fn step(&mut self, imports: &mut Imports) -> Option<()> {
        match self.take(1)?[0] {
            // GLOBAL, INST
            b'c' | b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                imports.add(module, name);
            }
            // STACK_GLOBAL
            0x93 => imports.add(self.texts[0], self.texts[1]),
            // SHORT_BINUNICODE, SHORT_BINSTRING
            0x8c | b'U' => {
                let text = self.counted(1)?;
                self.push(text);
            }
            // BINUNICODE, BINSTRING
            b'X' | b'T' => {
                let text = self.counted(4)?;
                self.push(text);
            }
            // BINUNICODE8
            0x8d => {
                let text = self.counted(8)?;
                self.push(text);
            }
            // UNICODE
            b'V' => {
                let text = self.line()?;
                self.push(text);
            }
            // STRING, in quotes
            b'S' => {
                let text = self.line()?;
                self.push(text.get(1..text.len().saturating_sub(1)).unwrap_or_default());
            }
            // MEMOIZE, BINPUT, LONG_BINPUT
            0x94 => {
                self.remember(self.remembered);
                self.remembered += 1;
            }
            b'q' => {
                let key = self.number(1)?;
                self.remember(key);
            }
            b'r' => {
                let key = self.number(4)?;
                self.remember(key);
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let key = self.number(1)?;
                self.recall(key);
            }
            b'j' => {
                let key = self.number(4)?;
                self.recall(key);
            }
            // PUT, GET: decimal
            opcode @ (b'p' | b'g') => {
                let key = std::str::from_utf8(self.line()?).ok()?.trim().parse().ok()?;
                if opcode == b'p' { self.remember(key) } else { self.recall(key) }
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8, LONG1, LONG4
            b'C' | 0x8a => drop(self.counted(1)?),
            b'B' | 0x8b => drop(self.counted(4)?),
            0x8e | 0x96 => drop(self.counted(8)?),
            // Numbers and persistent names as lines
            b'I' | b'L' | b'F' | b'P' => drop(self.line()?),
            // PROTO, BININT1, EXT1
            0x80 | b'K' | 0x82 => drop(self.take(1)?),
            // BININT2, EXT2
            b'M' | 0x83 => drop(self.take(2)?),
            // BININT, EXT4
            b'J' | 0x84 => drop(self.take(4)?),
            // FRAME, BINFLOAT
            0x95 | b'G' => drop(self.take(8)?),
            // Everything without an argument.
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'}'
            | b'e'
            | b'l'
            | b']'
            | b'o'
            | b's'
            | b't'
            | b')'
            | b'u'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x92
            | 0x97
            | 0x98 => {}
            // A pickle may follow another.
            b'.' if self.rest.is_empty() => return None,
            b'.' => {}
            _ => return None,
        }
        Some(())
    }
}
