package httpsink

import (
	"encoding/json"
	"net/http"
)

// outcome is what became of the records of a request.
type outcome struct {
	accepted, refused int
	first             *Refusal // of a record
}

// reply is the body of an answer that refuses something.
type reply struct {
	Error    string `json:"error"`
	Accepted int    `json:"accepted"`
	Refused  int    `json:"refused"`
}

// answer ends a request, of which all that is not done was refused if refusal is
// not nil.
func (r *Receiver) answer(w http.ResponseWriter, req *http.Request, done outcome, refusal *Refusal) {
	if refusal != nil {
		r.refuse(peerOf(req), refusal)
		done.refused++
		done.first = refusal
	}
	if done.first == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status := statuses[done.first.Reason]
	if refusal == nil && (done.accepted > 0 || done.refused > 1) {
		status = http.StatusBadRequest
	}
	header := w.Header()
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, POST")
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	if refusal != nil {
		header.Set("Connection", "close") // there may be more of it
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	text := done.first.Reason
	if done.first.Detail != "" {
		text += ": " + done.first.Detail
	}
	// Nobody is left to tell if the client is gone.
	_ = json.NewEncoder(w).Encode(reply{text, done.accepted, done.refused})
}
