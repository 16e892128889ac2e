package wire_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

// A record goes to another process and is handled there as it would have been
// handled here.
func Example() {
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), slog.LevelError, "no answer", 0)
	r.AddAttrs(slog.Any("err", errors.New("timeout")), slog.Duration("after", time.Second))

	line := wire.AppendRecord(nil, r, wire.Origin{Host: "web1"}, 0)
	fmt.Printf("%s\n", line)

	received, from, err := wire.Decode(line)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("from", from.Host)
	slog.NewTextHandler(os.Stdout, nil).Handle(context.Background(), received)
	// Output:
	// {"t":"2026-01-02T03:04:05.006Z","l":8,"m":"no answer","h":"web1","a":[{"k":"err","t":"e","v":["timeout","*errors.errorString"]},{"k":"after","t":"d","v":1000000000}]}
	// from web1
	// time=2026-01-02T03:04:05.006Z level=ERROR msg="no answer" err=timeout after=1s
}

// Lines of other programs become records too.
func ExampleRead() {
	h := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug})
	for _, line := range []string{
		`{"level":"warn","ts":"2026-01-02T03:04:05Z","logger":"db","msg":"slow","took":1.5}`,
		`{"name": "app", "levelno": 40, "msg": "%d of %s", "args": [3, "users"], "created": 1767323045, "exc_text": null}`,
		`[DEBUG] cache miss`,
	} {
		r, _, _ := wire.Read([]byte(line))
		r.Time = time.Time{}
		h.Handle(context.Background(), r)
	}
	// Output:
	// level=WARN msg=slow logger=db took=1.5
	// level=ERROR msg="3 of users" logger=app
	// level=DEBUG msg="[DEBUG] cache miss"
}

func ExampleDecode() {
	_, _, err := wire.Decode([]byte(`{"l":8,"m":"no answer","a":[{"k":"try","t":"i","v":"three"}]}`))
	fmt.Println(err)
	// Output:
	// wire: offset 51: want an integer of 64 bits
}
