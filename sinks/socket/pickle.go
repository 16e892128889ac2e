package socket

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

// The reader of pickles is a machine that does what Python's Unpickler does,
// except for everything that would be of use to an attacker: it looks up no
// class, calls nothing and keeps no state of an object. What in Python would be
// an object is a mark with the name of its class.
//
// The opcodes are those of pickletools in CPython, protocols 0 to 5.

const (
	// maxValues is how many values a pickle may put on the stack. It bounds what
	// a pickle takes in memory, of which every byte may be a value.
	maxValues = 1 << 16
	// maxInteger is how many bytes an integer may have. To print one takes time
	// that grows faster than its length.
	maxInteger = 64 << 10
)

type valueKind uint8

const (
	none valueKind = iota
	boolean
	integer    // of 64 bits
	bigInteger // text has the digits
	float
	text
	list // or tuple
	dict // keys and values alternate
	object
)

// value is one of Python's. bits has a boolean, an integer or a float, and text
// the class of an object.
type value struct {
	kind  valueKind
	bits  uint64
	text  string
	items *container
}

// container is what several values can be at once: it has an identity.
type container struct {
	values []value
	open   bool // while it is being printed, to see that it contains itself
}

type unpickler struct {
	data  string
	at    int
	stack []value
	marks []int // positions in the stack
	memo  []value
	made  int // values that were pushed
	err   *Refusal
}

// unpickle returns the value of a pickle.
func unpickle(data string) (value, *Refusal) {
	u := unpickler{data: data, stack: make([]value, 0, 64)}
	for u.err == nil {
		op := u.byte()
		if op == '.' && u.err == nil {
			result := u.pop()
			if u.err == nil && u.at < len(u.data) {
				u.fail("%d bytes follow the end", len(u.data)-u.at)
			}
			return result, u.err
		}
		u.step(op)
	}
	return value{}, u.err
}

func (u *unpickler) fail(format string, args ...any) {
	u.refuse(badPickle, "byte "+strconv.Itoa(u.at)+": "+format, args...)
}

func (u *unpickler) refuse(reason, format string, args ...any) {
	if u.err == nil {
		u.err = refuse(reason, format, args...)
	}
}

func (u *unpickler) step(op byte) {
	switch op {
	case 0x80: // PROTO
		if version := u.byte(); version > 5 {
			u.fail("protocol %d", version)
		}
	case 0x95: // FRAME
		u.read(8)
	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
		u.count()
	case '0': // POP
		if n := len(u.marks); n > 0 && u.marks[n-1] == len(u.stack) {
			u.marks = u.marks[:n-1]
		} else {
			u.pop()
		}
	case '1': // POP_MARK
		u.popMark()
	case '2': // DUP
		u.push(u.top())

	case 'N':
		u.push(value{})
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.pushBool(op == 0x88)
	case 'I': // INT
		switch line := u.line(); line {
		case "00", "01":
			u.pushBool(line == "01")
		default:
			u.pushDigits(line)
		}
	case 'L': // LONG
		u.pushDigits(strings.TrimSuffix(u.line(), "L"))
	case 'J': // BININT
		u.pushInt(int64(int32(u.little(4))))
	case 'K': // BININT1
		u.pushInt(int64(u.little(1)))
	case 'M': // BININT2
		u.pushInt(int64(u.little(2)))
	case 0x8a: // LONG1
		u.pushLong(u.read(u.little(1)))
	case 0x8b: // LONG4
		u.pushLong(u.read(u.little(4)))
	case 'F': // FLOAT
		f, err := strconv.ParseFloat(u.line(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			u.fail("not a number")
		}
		u.push(value{kind: float, bits: math.Float64bits(f)})
	case 'G': // BINFLOAT
		if b := u.read(8); u.err == nil {
			u.push(value{kind: float, bits: binary.BigEndian.Uint64([]byte(b))})
		}

	case 'S': // STRING
		u.pushText(unquote(u.line()))
	case 'V': // UNICODE
		u.pushText(unescape(u.line()), true)
	case 'T', 'X': // BINSTRING, BINUNICODE
		u.pushText(u.read(u.little(4)), true)
	case 'U', 0x8c: // SHORT_BINSTRING, SHORT_BINUNICODE
		u.pushText(u.read(u.little(1)), true)
	case 0x8d: // BINUNICODE8
		u.pushText(u.read(u.little(8)), true)

	case ']', ')': // EMPTY_LIST, EMPTY_TUPLE
		u.pushItems(list, nil)
	case 'l', 't': // LIST, TUPLE
		u.pushItems(list, u.popMark())
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		u.pushItems(list, u.popN(int(op-0x84)))
	case '}': // EMPTY_DICT
		u.pushItems(dict, nil)
	case 'd': // DICT
		u.pushItems(dict, u.popMark())
	case 'a': // APPEND
		u.add(list, u.popN(1))
	case 'e': // APPENDS
		u.add(list, u.popMark())
	case 's': // SETITEM
		u.add(dict, u.popN(2))
	case 'u': // SETITEMS
		u.add(dict, u.popMark())

	case 'p': // PUT
		u.put(u.decimal())
	case 'q': // BINPUT
		u.put(u.little(1))
	case 'r': // LONG_BINPUT
		u.put(u.little(4))
	case 0x94: // MEMOIZE
		u.put(uint64(len(u.memo)))
	case 'g': // GET
		u.get(u.decimal())
	case 'h': // BINGET
		u.get(u.little(1))
	case 'j': // LONG_BINGET
		u.get(u.little(4))

	default:
		u.stepObject(op)
	}
}

// stepObject does the opcodes that make objects, of which only the name remains.
func (u *unpickler) stepObject(op byte) {
	switch op {
	case 'B': // BINBYTES
		u.read(u.little(4))
		u.pushObject("builtins.bytes")
	case 'C': // SHORT_BINBYTES
		u.read(u.little(1))
		u.pushObject("builtins.bytes")
	case 0x8e: // BINBYTES8
		u.read(u.little(8))
		u.pushObject("builtins.bytes")
	case 0x96: // BYTEARRAY8
		u.read(u.little(8))
		u.pushObject("builtins.bytearray")
	case 0x97: // NEXT_BUFFER
		u.pushObject("buffer")
	case 0x98: // READONLY_BUFFER
		u.top()
	case 0x8f: // EMPTY_SET
		u.pushObject("builtins.set")
	case 0x90: // ADDITEMS
		u.popMark()
		u.top()
	case 0x91: // FROZENSET
		u.popMark()
		u.pushObject("builtins.frozenset")

	case 'c': // GLOBAL
		module := u.line()
		u.pushClass(module, u.line())
	case 0x93: // STACK_GLOBAL
		name := u.pop()
		module := u.pop()
		u.pushClass(module.text, name.text)
	case 'R', 0x81: // REDUCE, NEWOBJ
		args := u.pop()
		u.pushInstance(u.pop(), args)
	case 0x92: // NEWOBJ_EX
		u.pop() // keyword arguments
		args := u.pop()
		u.pushInstance(u.pop(), args)
	case 'b': // BUILD
		u.pop()
		u.top()
	case 'i': // INST
		module := u.line()
		name := u.line()
		u.popMark()
		u.pushClass(module, name)
	case 'o': // OBJ
		items := u.popMark()
		if len(items) == 0 {
			u.fail("an object without a class")
			return
		}
		u.pushInstance(items[0], value{})
	case 'P': // PERSID
		u.line()
		u.pushObject("persistent id")
	case 'Q': // BINPERSID
		u.pop()
		u.pushObject("persistent id")
	case 0x82, 0x83: // EXT1, EXT2
		u.read(uint64(op - 0x81))
		u.pushObject("extension")
	case 0x84: // EXT4
		u.read(4)
		u.pushObject("extension")
	default:
		u.fail("unknown opcode %#02x", op)
	}
}
