package main

func init() {
	const (
		bare      = "HTTPLog/quiet/bare"
		talkative = "HTTPLog/talkative/httplog"
	)
	declare(table{
		name: "httplog",
		intro: "A request to a `http.ServeMux` that answers with 512 bytes; all write JSON and discard it. By hand is a middleware of 20 lines that logs six attributes and cannot flush, hijack or recover.\n" +
			"`httplog.New` makes an id for each request, has it in the context, and looks up the route. go-chi/httplog has no ids and no routes; it logs more attributes unless told not to.",
		peers: []string{"github.com/go-chi/httplog/v3"},
		parts: []part{
			{
				intro: "What logging adds to a request that logs nothing itself.",
				rows: []row{
					{name: "no logging", bench: bare},
					{name: "by hand", bench: "HTTPLog/quiet/hand", against: bare, difference: true},
					{name: "`httplog.New`", bench: "HTTPLog/quiet/httplog", against: bare, difference: true, atMost: 2500, limits: map[string]float64{"allocs/op": 15}},
					{name: "`httplog.New` with a scope for each request", bench: "HTTPLog/quiet/scopes", against: bare, difference: true, limits: map[string]float64{"allocs/op": 15}},
					{name: "go-chi/httplog with these six attributes", bench: "HTTPLog/quiet/chi/six", against: bare, difference: true},
					{name: "go-chi/httplog", bench: "HTTPLog/quiet/chi/default", against: bare, difference: true},
				},
			},
			{
				intro: "A request that logs 20 records of level Debug with five attributes and does not fail. In a scope they are held and dropped, elsewhere written. With `httplog.New` each has the four attributes of the request besides.",
				rows: []row{
					{name: "no logging", bench: "HTTPLog/talkative/bare"},
					{name: "`httplog.New`", bench: talkative},
					{name: "`httplog.New` with a scope for each request", bench: "HTTPLog/talkative/scopes", against: talkative, atMost: 0.65},
					{name: "by hand", bench: "HTTPLog/talkative/hand", against: talkative},
					{name: "go-chi/httplog with these six attributes", bench: "HTTPLog/talkative/chi/six", against: talkative},
					{name: "go-chi/httplog", bench: "HTTPLog/talkative/chi/default", against: talkative},
				},
			},
		},
	})
}
