package notify

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"
)

// JSON returns a Webhook that posts the message as the JSON object that
// [Message] describes.
func JSON(url string) *Webhook { return &Webhook{URL: url} }

// Slack returns a Webhook for an incoming webhook of Slack
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// The text is shown as it is: it mentions nobody, formats nothing, and links in
// it are not fetched for a preview. It is cut at 35,000 bytes, below the 40,000
// characters at which Slack cuts. It follows the documentation; it was not tried
// with Slack itself.
func Slack(url string) *Webhook {
	return &Webhook{URL: url, Encode: func(m *Message) ([]byte, string, error) {
		return jsonBody(struct {
			Text        string `json:"text"`
			Markdown    bool   `json:"mrkdwn"`
			UnfurlLinks bool   `json:"unfurl_links"`
			UnfurlMedia bool   `json:"unfurl_media"`
		}{Text: cutEscaped(m.Title+"\n"+m.Body, 35_000, slackText.Replace)})
	}}
}

// slackText escapes the three characters by which Slack begins mentions and
// links (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Discord returns a Webhook for a webhook of Discord
// (https://docs.discord.com/developers/resources/webhook#execute-webhook). The
// text stands in a code block, where Discord looks for no formatting and no
// links, and the request allows no mentions. It is cut at the 2000 characters
// that Discord takes. It follows the documentation; it was not tried with Discord
// itself.
func Discord(url string) *Webhook {
	return &Webhook{URL: url, Encode: func(m *Message) ([]byte, string, error) {
		type mentions struct {
			Parse []string `json:"parse"` // [] and not null
		}
		const suppressEmbeds = 1 << 2
		// A zero width space keeps backticks from ending the block.
		text := strings.ReplaceAll(m.Title+"\n"+m.Body, "`", "`\u200b")
		const begin, end, limit = "```\n", "\n```", 2000
		return jsonBody(struct {
			Content         string   `json:"content"`
			AllowedMentions mentions `json:"allowed_mentions"`
			Flags           int      `json:"flags"`
		}{begin + cutUTF16(text, limit-len(begin)-len(end)) + end, mentions{[]string{}}, suppressEmbeds})
	}}
}

// cutUTF16 returns as much of s as has at most so many UTF-16 code units, the
// most narrow sense that "characters" can have.
func cutUTF16(s string, limit int) string {
	units := 0
	for i, r := range s {
		if units++; r > 0xFFFF {
			units++
		}
		if units > limit {
			// Each of the runes that make room for the ellipsis has a unit or two.
			_, last := utf8.DecodeLastRuneInString(s[:i])
			return s[:i-last] + ellipsis
		}
	}
	return s
}

// Ntfy returns a Webhook that publishes to a topic of a ntfy server, such as
// "https://ntfy.sh" (https://docs.ntfy.sh/publish/#publish-as-json), with an
// access token if it is not "". The text is published as JSON in the body, so
// that no part of it can become a header, an action or an attachment, and is cut
// at the 4096 bytes that ntfy takes for a message. Errors have high priority. An
// error does not tell the topic, which is a password on a public server. It
// follows the documentation; it was not tried with a server of ntfy.
func Ntfy(server, topic, token string) *Webhook {
	w := &Webhook{URL: server, topic: topic, Encode: func(m *Message) ([]byte, string, error) {
		body := m.Body
		if body == "" {
			body = m.Title // else ntfy makes one up
		}
		priority, tag := 3, "information_source"
		switch {
		case m.Level >= slog.LevelError:
			priority, tag = 4, "rotating_light"
		case m.Level >= slog.LevelWarn:
			tag = "warning"
		}
		return jsonBody(struct {
			Topic    string   `json:"topic"`
			Title    string   `json:"title"`
			Message  string   `json:"message"`
			Priority int      `json:"priority"`
			Tags     []string `json:"tags"`
		}{topic, m.Title, cut(body, 4096), priority, []string{tag}})
	}}
	if token != "" {
		w.Header = http.Header{"Authorization": {"Bearer " + token}}
	}
	return w
}

func jsonBody(v any) ([]byte, string, error) {
	body, err := json.Marshal(v)
	return body, "application/json", err
}
