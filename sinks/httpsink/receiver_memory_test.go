package httpsink_test

import (
	"fmt"
	"strings"
	"testing"
)

// distinct returns n of as many different names as there may be, each followed by
// text.
func distinct(n int, text string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var b strings.Builder
	for i := range n {
		for ; i >= len(letters); i /= len(letters) {
			b.WriteByte(letters[i%len(letters)])
		}
		b.WriteByte(letters[i])
		b.WriteString(text)
	}
	return b.String()
}

// The handler is busy, and as many peers as there may be have sent what becomes
// long, or is not complete.
func TestReceiver_boundsItsMemoryBehindABusyHandler(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts too")
	}
	post := func(body string) string {
		return postHead + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	zip := func(body string) string {
		body = packed(body)
		return postHead + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	receivers.BoundTheirMemoryBehindABusyHandler(t, 256, 64<<20, map[string]string{
		"a head of many fields":              "GET /?msg=x HTTP/1.1\r\nHost: localhost\r\n" + distinct(6000, ":\n"),
		"a head of long fields":              "GET /?msg=x HTTP/1.1\r\nHost: localhost\r\n" + distinct(240, ":"+strings.Repeat("x", 130)+"\n"),
		"long fields before a slow body":     postHead + "Content-Length: 10\r\n" + distinct(240, ":"+strings.Repeat("x", 130)+"\n") + "\r\nx",
		"many fields before a slow body":     postHead + "Content-Length: 10\r\n" + distinct(6000, ":\n") + "\r\nx",
		"many fields before a short body":    strings.TrimSuffix(post(slogLine), "\r\n\r\n"+slogLine) + "\r\n" + distinct(6000, ":\n") + "\r\n" + slogLine,
		"a query of many fields":             "GET /?" + strings.Repeat("a=b&", 1023) + "msg=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a long query":                       "GET /?msg=" + strings.Repeat("x", 31<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a query of signs":                   "GET /?msg=" + strings.Repeat("\x01", 31<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a form of many fields":              strings.Replace(post(strings.Repeat("a=b&", 1023)+"msg=x"), "x-ndjson", "x-www-form-urlencoded", 1),
		"many attributes":                    post(`{` + strings.Repeat(`"a":1,`, 2700) + `"l":1}`),
		"many attributes of its own":         post(`{"l":0,"m":"","a":[` + strings.Repeat(`{"k":"a","t":"n"},`, 880) + `{"k":"","t":"n"}]}`),
		"a message of many args":             post(`{"name":"x","levelno":20,"msg":"` + strings.Repeat("%999d", 2000) + `","args":[` + strings.Repeat("1,", 1999) + `1]}`),
		"many lists":                         post(`{"a":` + strings.Repeat(`[[],`, 3000) + "1" + strings.Repeat("]", 3000) + `}`),
		"a long body":                        post(`{"msg":"` + strings.Repeat("x", 1<<20-20) + `"}`),
		"a long body that is not complete":   strings.TrimSuffix(post(`{"msg":"`+strings.Repeat("x", 1<<20-20)+`"}`), `"}`),
		"a bomb of a record":                 zip(`{"msg":"` + strings.Repeat("x", 1<<20-20) + `"}`),
		"a bomb of many records":             zip(strings.Repeat("{}\n", 1000)),
		"a bomb that is too long":            zip(strings.Repeat("x", 64<<20)),
		"a packed body that is not complete": strings.TrimSuffix(zip(slogLine+strings.Repeat(" ", 3<<20)), "\x00"),
	})
}
