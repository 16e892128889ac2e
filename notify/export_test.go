package notify

// Expand returns what a template becomes with the message.
func Expand(text string, m *Message) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	return t.expand(m.value)
}
