package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/slogworks/slogworks/internal/guard"
)

func TestHostname(t *testing.T) {
	for host, want := range map[string]string{
		"": "", "localhost": "localhost", "a.example:80": "a.example", ":80": "",
		"[::1]": "::1", "[::1]:80": "::1", "::1": "::1", "10.0.0.1:80": "10.0.0.1", "[fe80::1%eth0]:80": "fe80::1%eth0",
		"a:b:c": "a:b:c", "@": "@", "/run/x.sock": "/run/x.sock",
	} {
		if got := guard.Hostname(host); got != want {
			t.Errorf("the host of %q is %q, want %q", host, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"} {
		if !guard.IsLoopback(host) {
			t.Errorf("%q is not", host)
		}
	}
	for _, host := range []string{
		"", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "::1%eth0", "[::1]", "127.1", "0127.0.0.1", "2130706433", "127.0.0.1.",
		"localhost.", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:80", " localhost",
	} {
		if guard.IsLoopback(host) {
			t.Errorf("%q is", host)
		}
	}
}

func TestIsExpected(t *testing.T) {
	names := []string{"log.example.com", "2001:db8:0:0::1", "[2001:db8::2]", "fe80::1%eth0", "10.1.2.3", ""}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "log.example.com", "LOG.example.COM", "2001:db8::1", "2001:DB8::1", "2001:db8::2", "fe80::1", "10.1.2.3"} {
		if !guard.IsExpected(host, names) {
			t.Errorf("%q is not", host)
		}
	}
	for _, host := range []string{"", "evil.example", "log.example.com.", "log.example.com.evil.example", "example.com", "2001:db8::3", "fe80::2", "10.1.2.4", "log.example.com:80"} {
		if guard.IsExpected(host, names) {
			t.Errorf("%q is", host)
		}
	}
	if guard.IsExpected("10.1.2.3", nil) || !guard.IsExpected("localhost", nil) {
		t.Error("without names, it is not loopback alone")
	}
}

func TestBrowsersSayForWhomTheyAsk(t *testing.T) {
	for _, test := range []struct {
		host, field  string
		values       []string
		origin, site bool
	}{
		{"localhost:80", "Origin", nil, false, false},
		{"localhost:80", "Origin", []string{"http://localhost:80"}, false, false},
		{"localhost:80", "Origin", []string{"https://LOCALHOST:80"}, false, false},
		{"localhost:80", "Origin", []string{"http://localhost:81"}, true, false},
		{"localhost", "Origin", []string{"http://evil.example"}, true, false},
		{"localhost", "Origin", []string{"http://localhost", "http://evil.example"}, true, false},
		{"localhost", "Origin", []string{"null"}, true, false},
		{"localhost", "Origin", []string{""}, true, false},
		{"localhost", "Origin", []string{"http://%"}, true, false},
		{"", "Origin", []string{"null"}, true, false},
		{"localhost", "Sec-Fetch-Site", []string{"none"}, false, false},
		{"localhost", "Sec-Fetch-Site", []string{"same-origin"}, false, false},
		{"localhost", "Sec-Fetch-Site", []string{"same-site"}, false, true},
		{"localhost", "Sec-Fetch-Site", []string{"cross-site"}, false, true},
		{"localhost", "Sec-Fetch-Site", []string{"something new"}, false, true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = test.host
		for _, value := range test.values {
			r.Header.Add(test.field, value)
		}
		if guard.IsOtherOrigin(r) != test.origin || guard.IsOtherSite(r) != test.site {
			t.Errorf("%s: %q at %q: another origin %t, another site %t", test.field, test.values, test.host, !test.origin, guard.IsOtherSite(r))
		}
	}
}

func TestIsForwarded(t *testing.T) {
	for field, want := range map[string]bool{
		"Forwarded": true, "Via": true, "X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true, "X-Real-IP": true, "Accept": false,
	} {
		for _, value := range []string{"192.0.2.1", ""} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set(field, value)
			if guard.IsForwarded(r) != want {
				t.Errorf("%s: %q: %t", field, value, !want)
			}
		}
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]struct {
		token string
		ok    bool
	}{
		"": {}, "Basic abc": {}, "abc": {}, "Bearerabc": {}, "Bearer": {"", true}, "Bearer ": {"", true},
		"Bearer abc": {"abc", true}, "bEARER  abc ": {"abc", true}, "Bearer a b": {"a b", true},
	} {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if token, ok := guard.Bearer(r); token != want.token || ok != want.ok {
			t.Errorf("%q: %q, %t", header, token, ok)
		}
	}
}

func TestIsToken(t *testing.T) {
	if !guard.IsToken("s3cret", "s3cret") {
		t.Error("the token is refused")
	}
	for _, got := range []string{"", "s3cre", "s3crett", "S3cret"} {
		if guard.IsToken(got, "s3cret") {
			t.Errorf("%q is accepted", got)
		}
	}
	if guard.IsToken("", "") {
		t.Error("where there is no token, none is accepted")
	}
}
