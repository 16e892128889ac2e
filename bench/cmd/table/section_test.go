package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func section(name, text string) string {
	return beginMark(name) + "\n" + text + "\n" + endMark(name) + "\n"
}

func TestReplaceSections(t *testing.T) {
	order := []string{"a", "b", "c", "d"}
	head := "# Head\n\nSome words.\n"
	for _, test := range []struct {
		name     string
		text     string
		sections map[string]string
		want     string
	}{
		{
			"puts the first sections after the text",
			head,
			map[string]string{"b": section("b", "B"), "a": section("a", "A")},
			head + "\n" + section("a", "A") + "\n" + section("b", "B"),
		},
		{
			"replaces one and keeps all else",
			head + "\n" + section("a", "A") + "\nBetween.\n\n" + section("b", "B") + "\nThe end.\n",
			map[string]string{"b": section("b", "longer B")},
			head + "\n" + section("a", "A") + "\nBetween.\n\n" + section("b", "longer B") + "\nThe end.\n",
		},
		{
			"puts a new one after its predecessor",
			head + "\n" + section("a", "A") + "\n" + section("d", "D") + "\nThe end.\n",
			map[string]string{"c": section("c", "C"), "a": section("a", "longer A")},
			head + "\n" + section("a", "longer A") + "\n" + section("c", "C") + "\n" + section("d", "D") + "\nThe end.\n",
		},
		{
			"puts a new one after a predecessor that stays",
			head + "\n" + section("a", "A") + "\n" + section("b", "B") + "\n" + section("d", "D"),
			map[string]string{"c": section("c", "C")},
			head + "\n" + section("a", "A") + "\n" + section("b", "B") + "\n" + section("c", "C") + "\n" + section("d", "D"),
		},
		{
			"puts a new one without a predecessor before the first",
			head + "\n" + section("b", "B"),
			map[string]string{"a": section("a", "A")},
			head + "\n" + section("a", "A") + "\n" + section("b", "B"),
		},
		{
			"fills an empty text",
			"",
			map[string]string{"a": section("a", "A")},
			section("a", "A"),
		},
		{
			"changes nothing without sections",
			head + "\n" + section("b", "B") + "\n\n\nThe end.",
			nil,
			head + "\n" + section("b", "B") + "\n\n\nThe end.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := replaceSections(test.text, order, test.sections)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
			again, err := replaceSections(got, order, test.sections)
			if err != nil || again != got {
				t.Errorf("a second time gives %v and:\n%s", err, again)
			}
		})
	}
}

func TestReplaceSections_refusesASectionWithoutAnEnd(t *testing.T) {
	_, err := replaceSections(beginMark("a")+"\nA\n"+section("b", "B"), []string{"a", "b"}, nil)
	if err == nil || !strings.Contains(err.Error(), endMark("a")) {
		t.Errorf("error %v, want one that says what is missing", err)
	}
}

func TestReadme_hasNoTableThatIsNotDeclared(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range regexp.MustCompile(`<!-- (?:table|end) (\S+) -->`).FindAllSubmatch(text, -1) {
		if !slices.Contains(names(tables), string(mark[1])) {
			t.Errorf("README.md has a table %s, which no file declares: delete it", mark[1])
		}
	}
}
