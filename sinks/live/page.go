package live

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var files embed.FS

// asset is a file that the page loads.
type asset struct {
	kind string
	body []byte
}

// kinds are those of the files that the page loads, by their extensions; the
// others are templates.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

var assets = loadAssets()

func loadAssets() map[string]asset {
	entries, err := files.ReadDir("page")
	if err != nil {
		panic(err) // as in read
	}
	assets := map[string]asset{}
	for _, e := range entries {
		if kind, ok := kinds[path.Ext(e.Name())]; ok {
			assets[e.Name()] = asset{kind, read(e.Name())}
		}
	}
	return assets
}

var (
	page   = template.Must(template.ParseFS(files, "page/page.html"))
	signIn = read("signin.html")
)

func read(name string) []byte {
	b, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err) // the program was built without it, which embed does not allow
	}
	return b
}

// policy lets the page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// signInPolicy allows the one style that stands in the page, as who is not
// signed in gets no file.
var signInPolicy = "default-src 'none'; style-src '" + hashOfStyle(signIn) + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func hashOfStyle(html []byte) string {
	_, rest, _ := bytes.Cut(html, []byte("<style>"))
	style, _, _ := bytes.Cut(rest, []byte("</style>"))
	sum := sha256.Sum256(style)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (h *Hub) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, struct {
		Title  string
		Levels bool
	}{h.opts.Title, h.opts.Levels != nil}) // fails only if the client is gone
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a := assets[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.body)
}

func serveSignIn(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", signInPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(signIn)
}
