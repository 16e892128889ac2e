package socket

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func (u *unpickler) byte() byte {
	if u.at >= len(u.data) {
		u.fail("ends too early")
		return 0
	}
	u.at++
	return u.data[u.at-1]
}

func (u *unpickler) read(n uint64) string {
	if n > uint64(len(u.data)-u.at) {
		u.fail("%d bytes announced, %d there", n, len(u.data)-u.at)
		return ""
	}
	u.at += int(n)
	return u.data[u.at-int(n) : u.at]
}

// little reads a number of n bytes, the lowest first.
func (u *unpickler) little(n uint64) uint64 {
	var x uint64
	for i, b := range []byte(u.read(n)) {
		x |= uint64(b) << (8 * i)
	}
	return x
}

func (u *unpickler) line() string {
	line, _, ok := strings.Cut(u.data[u.at:], "\n")
	if !ok {
		u.fail("a line without end")
		return ""
	}
	u.at += len(line) + 1
	return strings.TrimSuffix(line, "\r")
}

func (u *unpickler) decimal() uint64 {
	n, err := strconv.ParseUint(u.line(), 10, 32)
	if err != nil {
		u.fail("not a number")
	}
	return n
}

func (u *unpickler) count() {
	if u.made++; u.made > maxValues {
		u.refuse(tooManyValues, "more than %d", maxValues)
	}
}

func (u *unpickler) push(v value) {
	if u.count(); u.err == nil {
		u.stack = append(u.stack, v)
	}
}

func (u *unpickler) pushInt(n int64) { u.push(value{kind: integer, bits: uint64(n)}) }

func (u *unpickler) pushBool(b bool) {
	v := value{kind: boolean}
	if b {
		v.bits = 1
	}
	u.push(v)
}

func (u *unpickler) pushDigits(digits string) {
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		u.pushInt(n)
		return
	}
	unsigned := strings.TrimPrefix(digits, "-")
	if unsigned == "" || strings.Trim(unsigned, "0123456789") != "" {
		u.fail("not a number")
		return
	}
	// Unlike the conversion from bytes, to keep the digits costs nothing.
	unsigned = strings.TrimLeft(unsigned, "0")
	if strings.HasPrefix(digits, "-") {
		unsigned = "-" + unsigned
	}
	u.push(value{kind: bigInteger, text: unsigned})
}

// pushLong pushes an integer in two's complement, the lowest byte first.
func (u *unpickler) pushLong(b string) {
	if len(b) > maxInteger {
		u.pushObject("builtins.int")
		return
	}
	bytes := []byte(b)
	slices.Reverse(bytes)
	n := new(big.Int).SetBytes(bytes)
	if len(bytes) > 0 && bytes[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(bytes))))
	}
	if n.IsInt64() {
		u.pushInt(n.Int64())
		return
	}
	u.push(value{kind: bigInteger, text: n.String()})
}

// pushText pushes a string, of which Python may have written halves of
// surrogate pairs.
func (u *unpickler) pushText(s string, ok bool) {
	if !ok {
		u.fail("not a string")
		return
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	u.push(value{kind: text, text: s})
}

func (u *unpickler) pushItems(kind valueKind, values []value) {
	if kind == dict && len(values)%2 != 0 {
		u.fail("a key without a value")
		return
	}
	u.push(value{kind: kind, items: &container{values: slices.Clone(values)}})
}

func (u *unpickler) pushObject(class string) { u.push(value{kind: object, text: class}) }

// pushClass pushes a class under the name that it has in Python 3: protocols
// before 3 have names of Python 2.
func (u *unpickler) pushClass(module, name string) {
	switch module {
	case "__builtin__":
		module = "builtins"
	case "copy_reg":
		module = "copyreg"
	}
	const longest = 100
	u.pushObject(clip(module, longest) + "." + clip(name, longest))
}

// clip returns what of s has at most n bytes, as valid UTF-8.
func clip(s string, n int) string {
	return strings.ToValidUTF8(s[:min(n, len(s))], "\uFFFD")
}

// pushInstance pushes what calling callable would have made. Some are helpers of
// pickle, and the class that they were to make comes first.
func (u *unpickler) pushInstance(callable, args value) {
	class := callable.text
	switch class {
	case "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__":
		if args.kind == list && len(args.items.values) > 0 && args.items.values[0].kind == object {
			class = args.items.values[0].text
		}
	case "_codecs.encode": // how protocols before 3 write bytes
		class = "builtins.bytes"
	}
	if callable.kind != object {
		u.fail("a call of what is no class")
		return
	}
	u.pushObject(class)
}

func (u *unpickler) top() value {
	if len(u.stack) == 0 {
		u.fail("the stack is empty")
		return value{}
	}
	return u.stack[len(u.stack)-1]
}

func (u *unpickler) pop() value {
	popped := u.popN(1)
	if len(popped) == 0 {
		return value{}
	}
	return popped[0]
}

// popN pops values that are above the last mark. They are valid until something
// is pushed.
func (u *unpickler) popN(n int) []value {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	begin := len(u.stack) - n
	if begin < floor {
		u.fail("the stack is empty")
		return nil
	}
	popped := u.stack[begin:]
	u.stack = u.stack[:begin]
	return popped
}

// popMark pops the values down to the last mark, and the mark.
func (u *unpickler) popMark() []value {
	if len(u.marks) == 0 {
		u.fail("no mark")
		return nil
	}
	begin := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	popped := u.stack[begin:]
	u.stack = u.stack[:begin]
	return popped
}

// add puts values into the container on top. What goes into an object, such as
// one of a class derived from dict, is not kept.
func (u *unpickler) add(kind valueKind, values []value) {
	switch target := u.top(); {
	case u.err != nil || target.kind == object:
	case target.kind != kind || kind == dict && len(values)%2 != 0:
		u.fail("values for what cannot hold them")
	default:
		target.items.values = append(target.items.values, values...)
	}
}

func (u *unpickler) put(i uint64) {
	v := u.top()
	// Python numbers from 0, so that a number beyond the length is no number of
	// a value.
	if u.err == nil && i > uint64(len(u.data)) || i > maxValues {
		u.fail("memo %d", i)
	}
	if u.err != nil {
		return
	}
	for uint64(len(u.memo)) <= i {
		u.memo = append(u.memo, value{kind: missing})
	}
	u.memo[i] = v
}

// missing is what the memo has where nothing was put.
const missing = object + 1

func (u *unpickler) get(i uint64) {
	if u.err == nil && (i >= uint64(len(u.memo)) || u.memo[i].kind == missing) {
		u.fail("memo %d is not there", i)
	}
	if u.err == nil {
		u.push(u.memo[i])
	}
}
