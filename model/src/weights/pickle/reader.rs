use std::collections::HashMap;

use super::{Global, MAX_MARKS, MAX_VALUES, Pickle, PickleError, Value, ValueId, denied};

/// The virtual machine of pickle, with names in place of things.
pub(super) struct Reader<'p> {
    bytes: &'p [u8],
    position: usize,
    values: Vec<Value<'p>>,
    stack: Vec<ValueId>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl<'p> Reader<'p> {
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        let (values, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes, position: 0, values, stack, marks, memo: HashMap::new() }
    }

    pub(super) fn run(mut self) -> Result<Pickle<'p>, PickleError> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { values: self.values, root });
            }
            self.step(opcode)?;
        }
    }

    /// Carries out one opcode. Opcodes are written as `pickletools` lists them.
    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            0x80 => self.protocol(),
            0x95 => self.frame(),
            b'(' => self.mark(),
            b'0' => self.discard(),
            b'1' => self.pop_mark().map(drop),
            b'2' => self.duplicate(),

            b'N' => self.push(Value::Other("None")),
            0x88 | 0x89 => self.push(Value::Other("a truth value")),
            b'K' => self.int::<1>(|[byte]| byte.into()),
            b'M' => self.int::<2>(|bytes| u16::from_le_bytes(bytes).into()),
            b'J' => self.int::<4>(|bytes| i32::from_le_bytes(bytes).into()),
            0x8A => self.size_1().and_then(|n| self.long(n)),
            0x8B => self.size_4().and_then(|n| self.long(n)),
            b'G' => self.take(8).and_then(|_| self.push(Value::Other("a number"))),
            b'I' | b'L' | b'F' => self.line().and_then(|_| self.push(Value::Other("a number"))),

            b'X' => self.size_4().and_then(|n| self.text(n)),
            0x8C => self.size_1().and_then(|n| self.text(n)),
            0x8D => self.size_8().and_then(|n| self.text(n)),
            b'T' | b'B' => self.size_4().and_then(|n| self.binary(n)),
            b'U' | b'C' => self.size_1().and_then(|n| self.binary(n)),
            0x8E | 0x96 => self.size_8().and_then(|n| self.binary(n)),
            b'S' => self.line().and_then(|_| self.push(Value::Other("bytes"))),
            b'V' => self.line().and_then(|line| self.push(Value::Text(line))),

            b']' => self.push(Value::Other("a list")),
            0x8F => self.push(Value::Other("a set")),
            b'l' => self.pop_mark().and_then(|_| self.push(Value::Other("a list"))),
            0x91 => self.pop_mark().and_then(|_| self.push(Value::Other("a set"))),
            b'a' => self.discard().and_then(|()| self.top().map(drop)),
            b'e' | 0x90 => self.pop_mark().and_then(|_| self.top().map(drop)),

            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => self.pop_mark().and_then(|items| self.push(Value::Tuple(items))),
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84)),

            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => self.pop_mark().and_then(|items| self.dict(&items)),
            b's' => self.set_item(),
            b'u' => self.pop_mark().and_then(|items| self.set_items(&items)),

            b'q' => self.byte().and_then(|index| self.memoize(index.into())),
            b'r' => self.word().and_then(|index| self.memoize(index)),
            0x94 => self.memoize(self.memo.len() as u32),
            b'p' => self.line_index().and_then(|index| self.memoize(index)),
            b'h' => self.byte().and_then(|index| self.recall(index.into())),
            b'j' => self.word().and_then(|index| self.recall(index)),
            b'g' => self.line_index().and_then(|index| self.recall(index)),

            b'c' => self.global(),
            0x93 => self.stack_global(),
            b'i' => self.instance(),
            b'o' => self.object(),
            b'R' | 0x81 => self.call(),
            0x92 => self.call_with_keywords(),
            b'b' => self.build(),
            b'Q' => self.persistent(),
            _ => Err(self.error(format!("unknown pickle opcode 0x{opcode:02x}"))),
        }
    }

    fn protocol(&mut self) -> Result<(), PickleError> {
        match self.byte()? {
            0..=5 => Ok(()),
            protocol => Err(self.error(format!("unknown pickle protocol {protocol}"))),
        }
    }

    /// A frame only says how far to read ahead; what it says must exist.
    fn frame(&mut self) -> Result<(), PickleError> {
        let size = self.size_8()?;
        if size > self.bytes.len() - self.position {
            return Err(self.error("the pickle is cut off".into()));
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() == MAX_MARKS {
            return Err(self.error(format!("more than {MAX_MARKS} nested marks")));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn discard(&mut self) -> Result<(), PickleError> {
        self.pop().map(drop)
    }

    fn duplicate(&mut self) -> Result<(), PickleError> {
        let top = self.top()?;
        self.push_id(top)
    }

    fn int<const N: usize>(&mut self, decode: impl FnOnce([u8; N]) -> i64) -> Result<(), PickleError> {
        let bytes = self.array()?;
        self.push(Value::Int(decode(bytes)))
    }

    /// A little-endian two's complement integer of any size; those beyond 64 bits stay unread.
    fn long(&mut self, size: usize) -> Result<(), PickleError> {
        let bytes = self.take(size)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xFF } else { 0 }; 8];
        match wide.get_mut(..size) {
            Some(low) => {
                low.copy_from_slice(bytes);
                self.push(Value::Int(i64::from_le_bytes(wide)))
            }
            None => self.push(Value::Other("a large number")),
        }
    }

    fn text(&mut self, size: usize) -> Result<(), PickleError> {
        let bytes = self.take(size)?;
        // Python allows lone surrogates in text; no name that matters has one.
        self.push(std::str::from_utf8(bytes).map_or(Value::Other("text that is not UTF-8"), Value::Text))
    }

    fn binary(&mut self, size: usize) -> Result<(), PickleError> {
        self.take(size)?;
        self.push(Value::Other("bytes"))
    }

    fn short_tuple(&mut self, size: usize) -> Result<(), PickleError> {
        let floor = self.floor();
        let start = self.stack.len().checked_sub(size).filter(|&start| start >= floor);
        let start = start.ok_or_else(|| self.error("the stack is empty".into()))?;
        let items = self.stack.split_off(start);
        self.push(Value::Tuple(items))
    }

    fn dict(&mut self, items: &[ValueId]) -> Result<(), PickleError> {
        self.push(Value::Dict(Vec::new()))?;
        self.set_items(items)
    }

    fn set_item(&mut self) -> Result<(), PickleError> {
        let value = self.pop()?;
        let key = self.pop()?;
        self.set_items(&[key, value])
    }

    /// Adds entries to the dictionary on top; objects that behave like one keep theirs to themselves.
    fn set_items(&mut self, items: &[ValueId]) -> Result<(), PickleError> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.error("a dictionary entry has no value".into()));
        }
        let top = self.top()?;
        match &mut self.values[top.0 as usize] {
            Value::Dict(entries) => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Value::Object { .. } => {}
            Value::Int(_)
            | Value::Text(_)
            | Value::Tuple(_)
            | Value::Global(_)
            | Value::Persistent(_)
            | Value::Other(_) => return Err(self.error("an entry is set on something that has none".into())),
        }
        Ok(())
    }

    fn memoize(&mut self, index: u32) -> Result<(), PickleError> {
        let top = self.top()?;
        if self.memo.len() == MAX_VALUES {
            return Err(self.error(format!("more than {MAX_VALUES} remembered values")));
        }
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        match self.memo.get(&index) {
            Some(&id) => self.push_id(id),
            None => Err(self.error(format!("memo {index} is empty"))),
        }
    }

    fn global(&mut self) -> Result<(), PickleError> {
        let module = self.line()?;
        let name = self.line()?;
        let global = checked_global(module, name)?;
        self.push(Value::Global(global))
    }

    fn stack_global(&mut self) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (self.text_of(module), self.text_of(name)) {
            (Some(module), Some(name)) => {
                let global = checked_global(module, name)?;
                self.push(Value::Global(global))
            }
            _ => Err(self.error("a global is not named by text".into())),
        }
    }

    fn instance(&mut self) -> Result<(), PickleError> {
        let module = self.line()?;
        let name = self.line()?;
        let global = checked_global(module, name)?;
        let arguments = self.pop_mark()?;
        let callee = self.store(Value::Global(global))?;
        let arguments = self.store(Value::Tuple(arguments))?;
        self.push(Value::Object { callee, arguments, state: None })
    }

    fn object(&mut self) -> Result<(), PickleError> {
        let mut items = self.pop_mark()?;
        if items.is_empty() {
            return Err(self.error("an object has no class".into()));
        }
        let callee = items.remove(0);
        let arguments = self.store(Value::Tuple(items))?;
        self.push(Value::Object { callee, arguments, state: None })
    }

    /// `REDUCE` and `NEWOBJ`. An empty `OrderedDict` is a dictionary; everything else stays a record of the call.
    fn call(&mut self) -> Result<(), PickleError> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let ordered_dict = Global { module: "collections", name: "OrderedDict" };
        let empty = matches!(&self.values[arguments.0 as usize], Value::Tuple(items) if items.is_empty());
        let is_ordered_dict =
            matches!(&self.values[callee.0 as usize], Value::Global(global) if *global == ordered_dict);
        if is_ordered_dict && empty {
            return self.push(Value::Dict(Vec::new()));
        }
        self.push(Value::Object { callee, arguments, state: None })
    }

    fn call_with_keywords(&mut self) -> Result<(), PickleError> {
        self.discard()?;
        self.call()
    }

    /// Sets the state of an object. Attributes of a dictionary (PyTorch's `_metadata`) say nothing about weights.
    fn build(&mut self) -> Result<(), PickleError> {
        let new_state = self.pop()?;
        let top = self.top()?;
        if let Value::Object { state, .. } = &mut self.values[top.0 as usize] {
            *state = Some(new_state);
        }
        Ok(())
    }

    fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        self.push(Value::Persistent(id))
    }

    fn text_of(&self, id: ValueId) -> Option<&'p str> {
        match &self.values[id.0 as usize] {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn store(&mut self, value: Value<'p>) -> Result<ValueId, PickleError> {
        if self.values.len() == MAX_VALUES {
            return Err(self.error(format!("more than {MAX_VALUES} values")));
        }
        self.values.push(value);
        Ok(ValueId((self.values.len() - 1) as u32))
    }

    fn push(&mut self, value: Value<'p>) -> Result<(), PickleError> {
        let id = self.store(value)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: ValueId) -> Result<(), PickleError> {
        if self.stack.len() == MAX_VALUES {
            return Err(self.error(format!("more than {MAX_VALUES} values on the stack")));
        }
        self.stack.push(id);
        Ok(())
    }

    /// The lowest stack position above the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<ValueId, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<ValueId, PickleError> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.floor() => Ok(top),
            _ => Err(self.error("the stack is empty".into())),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<ValueId>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.error("there is no mark".into()))?;
        Ok(self.stack.split_off(mark))
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn word(&mut self) -> Result<u32, PickleError> {
        self.array().map(u32::from_le_bytes)
    }

    fn size_1(&mut self) -> Result<usize, PickleError> {
        self.byte().map(usize::from)
    }

    fn size_4(&mut self) -> Result<usize, PickleError> {
        self.word().map(|size| size as usize)
    }

    fn size_8(&mut self) -> Result<usize, PickleError> {
        let size = u64::from_le_bytes(self.array()?);
        usize::try_from(size).map_err(|_| self.error("the pickle is cut off".into()))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, size: usize) -> Result<&'p [u8], PickleError> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..size).ok_or_else(|| self.error("the pickle is cut off".into()))?;
        self.position += size;
        Ok(taken)
    }

    /// The text up to the next line feed, which is consumed.
    fn line(&mut self) -> Result<&'p str, PickleError> {
        let rest = &self.bytes[self.position..];
        let size = rest.iter().position(|&byte| byte == b'\n');
        let size = size.ok_or_else(|| self.error("the pickle is cut off".into()))?;
        let line = std::str::from_utf8(&rest[..size]);
        let line = line.map_err(|_| self.error("a line is not UTF-8".into()))?;
        self.position += size + 1;
        Ok(line)
    }

    fn line_index(&mut self) -> Result<u32, PickleError> {
        let line = self.line()?;
        line.parse().map_err(|_| self.error("a memo index is not a number".into()))
    }

    fn error(&self, reason: String) -> PickleError {
        PickleError::Malformed { position: self.position, reason }
    }
}

fn checked_global<'p>(module: &'p str, name: &'p str) -> Result<Global<'p>, PickleError> {
    let global = Global { module, name };
    if denied::is_denied(global) { Err(PickleError::Denied(global.to_string())) } else { Ok(global) }
}
