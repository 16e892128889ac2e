package wire

import (
	"log/slog"
	"strconv"
	"sync/atomic"
)

// sourceOf returns the source that a record brought from another process.
func sourceOf(a slog.Attr) *slog.Source {
	if a.Key != slog.SourceKey || a.Value.Kind() != slog.KindAny {
		return nil
	}
	source, _ := a.Value.Any().(*slog.Source)
	if isEmpty(source) {
		return nil
	}
	return source
}

func isEmpty(s *slog.Source) bool { return s == nil || *s == slog.Source{} }

func (e *encoder) source(s *slog.Source) {
	e.lit(`,"src":{"fn":`)
	e.str(s.Function)
	e.lit(`,"f":`)
	e.str(s.File)
	e.lit(`,"l":`)
	e.int(int64(s.Line))
	e.lit(`}`)
}

// appendSource appends s as slog.JSONHandler prints it.
func appendSource(buf []byte, s *slog.Source) []byte {
	separator := byte('{')
	key := func(k string) {
		buf = append(buf, separator)
		buf = append(appendString(buf, k), ':')
		separator = ','
	}
	if s.Function != "" {
		key("function")
		buf = appendString(buf, s.Function)
	}
	if s.File != "" {
		key("file")
		buf = appendString(buf, s.File)
	}
	if s.Line != 0 {
		key("line")
		buf = strconv.AppendInt(buf, int64(s.Line), 10)
	}
	return append(buf, '}')
}

// call is a place in this program, and what a line says about it.
type call struct {
	pc   uintptr
	json []byte
}

// calls remembers the last call for each slot, because finding the function of a
// program counter takes longer than writing the record. A program has more calls
// than slots only if it logs in very many places, and then some are looked up
// again; a map would need a lock or an allocation for each question.
var calls [1024]atomic.Pointer[call]

func (e *encoder) sourceAt(pc uintptr) {
	if pc == 0 {
		return
	}
	if e.limit > 0 {
		if source := lookUp(pc); !isEmpty(source) {
			e.source(source)
		}
		return
	}
	slot := &calls[(pc^pc>>10)%uintptr(len(calls))]
	known := slot.Load()
	if known == nil || known.pc != pc {
		known = &call{pc: pc}
		if source := lookUp(pc); !isEmpty(source) {
			line := encoder{}
			line.source(source)
			known.json = line.buf
		}
		slot.Store(known)
	}
	e.buf = append(e.buf, known.json...)
}

func lookUp(pc uintptr) *slog.Source { return slog.Record{PC: pc}.Source() }
