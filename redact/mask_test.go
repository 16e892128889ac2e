package redact_test

import (
	"errors"
	"log/slog"
	"regexp"
	"testing"

	"github.com/slogworks/slogworks/redact"
)

func TestLast_showsNothingOfAShortSecret(t *testing.T) {
	for _, test := range []struct {
		n            int
		secret, want string
	}{
		{4, "4111111111111111", "****1111"}, {4, "123456789012", "****9012"}, {4, "12345678901", "****"}, {4, "1234", "****"}, {4, "", "****"},
		{0, "4111111111111111", "****1111"}, {-1, "123", "****"}, {1, "äöü", "****ü"}, {2, "äöü", "****"}, {1, "\xff\xff\xff", "****\xff"},
		{1 << 62, "abc", "****"},
	} {
		if got := redact.Last(test.n)(test.secret); got != test.want {
			t.Errorf("Last(%d)(%q) = %q, want %q", test.n, test.secret, got, test.want)
		}
	}
}

func TestHash_isTheSameForEqualSecretsAndKeys(t *testing.T) {
	key := []byte("key")
	a := redact.Hash(key)
	b := redact.Hash([]byte("key"))
	other := redact.Hash([]byte("other"))
	key[0] = 'x'
	if a("x") != b("x") || a("x") == a("y") || a("x") == other("x") {
		t.Errorf("%s %s %s %s", a("x"), b("x"), a("y"), other("x"))
	}
	if !regexp.MustCompile(`^\[REDACTED:[0-9a-f]{16}\]$`).MatchString(a("x")) {
		t.Error(a("x"))
	}
	t.Run("and the key is random if it is empty", func(t *testing.T) {
		random := redact.Hash(nil)
		first, again, other := random("x"), random("x"), redact.Hash([]byte{})("x")
		if first != again || first == other {
			t.Errorf("%s %s %s", first, again, other)
		}
	})
}

func TestOptions_maskGetsTheSecretAsText(t *testing.T) {
	opts := &redact.Options{Mask: func(secret string) string { return "<" + secret + ">" }}
	for _, test := range []struct {
		value any
		want  string
	}{
		{"a", "<a>"}, {1, "<1>"}, {nil, "<>"}, {[]byte("b"), "<b>"}, {errors.New("e"), "<e>"}, {name("n"), "<n>"},
		{valuer{slog.StringValue("v")}, "<v>"}, {map[string]int{"a": 1}, `<{\"a\":1}>`}, {[]string{"x"}, `<[\"x\"]>`},
		{slog.GroupValue(slog.Int("a", 1), slog.Any("b", valuer{slog.StringValue("c")})), `<{\"a\":\"1\",\"b\":\"c\"}>`},
	} {
		check(t, opts, info("password", test.value), `{"msg":"m","password":"`+test.want+`"}`, "")
	}
	t.Run("inside of JSON too", func(t *testing.T) {
		check(t, opts, info("k", map[string]any{"password": "a\"b", "token": []int{1, 2}}), `{"msg":"m","k":{"password":"<a\"b>","token":"<[1,2]>"}}`, "")
	})
	t.Run("and each match of a pattern", func(t *testing.T) {
		opts := &redact.Options{ValuePatterns: patterns(`\d+`, `z*`), Mask: opts.Mask}
		check(t, opts, info("k", "a1b22zc"), `{"msg":"m","k":"a<1>b<22><z>c"}`, "")
	})
}
