package buffer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"log/slog"

	"github.com/slogworks/slogworks/internal/wire"
)

// header is the first line of a journal.
const header = "slogspool/1\n"

// headerName is what the header has in all versions.
const headerName = "slogspool/"

const sumLen = len("00000000 ")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine appends a record as a line of a journal.
func appendLine(dst []byte, r slog.Record, maxBytes int) []byte {
	begin := len(dst)
	dst = append(dst, "00000000 "...)
	dst = wire.AppendRecord(dst, r, wire.Origin{}, maxBytes)
	line := dst[begin:]
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(line[sumLen:], castagnoli))
	hex.Encode(line, sum[:])
	return append(dst, '\n')
}

// parseLine reports false for what is not a line as it was written.
func parseLine(line []byte) (slog.Record, bool) {
	if len(line) < sumLen || line[sumLen-1] != ' ' {
		return slog.Record{}, false
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], line[:sumLen-1]); err != nil {
		return slog.Record{}, false
	}
	if binary.BigEndian.Uint32(sum[:]) != crc32.Checksum(line[sumLen:], castagnoli) {
		return slog.Record{}, false
	}
	r, _, err := wire.Decode(line[sumLen:])
	return r, err == nil
}

// scan calls f with each line that r has, without its line feed and valid only
// during the call. It returns how many bytes it has read up to the last line
// feed; what stands behind that is a torn line, which it gives to f if
// withTail is set.
func scan(r io.Reader, withTail bool, f func(line []byte)) (whole int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var long []byte // a line that is longer than the reader's buffer
	read := int64(0)
	for {
		part, err := in.ReadSlice('\n')
		read += int64(len(part))
		if err == bufio.ErrBufferFull {
			// What is too long for any record is read and not kept.
			if len(long) < wire.MaxLine {
				long = append(long, part...)
			}
			continue
		}
		if len(long) > 0 {
			long = append(long, part...)
			part = long
		}
		if err != nil {
			if err != io.EOF {
				return whole, err
			}
			if withTail && len(part) > 0 {
				f(part)
			}
			return whole, nil
		}
		whole = read
		f(part[:len(part)-1])
		long = long[:0]
	}
}

// kind is what the first lines of a file make of it.
type kind int

const (
	ours    kind = iota
	empty        // a journal whose header was not written whole
	foreign      // of another version, or something else
)

// kindOf looks at a file of the given size, which is at its beginning. A journal
// whose header is damaged is still ours if one of its lines proves that it is.
func kindOf(r io.Reader, size int64) (kind, error) {
	first := make([]byte, min(size, int64(len(header))))
	if _, err := io.ReadFull(r, first); err != nil {
		return ours, err
	}
	switch {
	case string(first) == header:
		return ours, nil
	case bytes.HasPrefix([]byte(header), first):
		return empty, nil
	case isVersion(first):
		return foreign, nil
	}
	proven := false
	_, err := scan(io.MultiReader(bytes.NewReader(first), r), true, func(line []byte) {
		if !proven {
			_, proven = parseLine(line)
		}
	})
	if proven || err != nil {
		return ours, err
	}
	return foreign, nil
}

// isVersion reports whether a header says that another version wrote the file.
func isVersion(first []byte) bool {
	version, ok := bytes.CutPrefix(first, []byte(headerName))
	version = bytes.TrimSuffix(version, []byte("\n"))
	if !ok || len(version) == 0 {
		return false
	}
	for _, c := range version {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isHeader reports whether a line is a header and not a record that is damaged.
func isHeader(line []byte) bool { return string(line) == header[:len(header)-1] }
