package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"unicode"
)

func (c *core) settleAddresses(cfg Config) (err error) {
	if c.from, err = parseAddress(cfg.From); err != nil {
		return fmt.Errorf("mail: From %q: %w", cfg.From, err)
	}
	if c.to, err = c.recipients("To", cfg.To); err != nil {
		return err
	}
	if c.cc, err = c.recipients("Cc", cfg.Cc); err != nil {
		return err
	}
	if _, err = c.recipients("Bcc", cfg.Bcc); err != nil {
		return err
	}
	if len(c.envelope) == 0 {
		return errors.New("mail: there is no recipient: give at least one in To, Cc or Bcc")
	}
	for _, address := range append(slices.Clone(c.envelope), c.from.Address) {
		if strings.ContainsFunc(address, func(r rune) bool { return r > unicode.MaxASCII }) {
			c.utf8 = true
		}
	}
	return nil
}

func (c *core) recipients(field string, list []string) ([]*netmail.Address, error) {
	var addresses []*netmail.Address
	for i, s := range list {
		a, err := parseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("mail: %s[%d] %q: %w", field, i, s, err)
		}
		addresses = append(addresses, a)
		if !slices.Contains(c.envelope, a.Address) {
			c.envelope = append(c.envelope, a.Address)
		}
	}
	return addresses, nil
}

// parseAddress returns an address that can stand in a header and in a line of
// SMTP as net/mail prints it.
func parseAddress(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "mail: ", ""))
	}
	// An encoded word in the name may hold what could not be written out.
	a.Name = header(a.Name)
	if strings.ContainsFunc(a.Address, unicode.IsControl) {
		return nil, errors.New("has a control character")
	}
	return a, nil
}
