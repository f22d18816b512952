package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Describe prints every setting with its default, unit and effect.
func Describe(w io.Writer) error {
	var b bytes.Buffer
	for _, section := range sections {
		fmt.Fprintf(&b, "%s\n", section.title)
		for _, s := range section.settings {
			fmt.Fprintf(&b, "\n  %s\n      default: %s; %s\n", s.name, plain(s.defaultText()), plain(s.kind))
			for _, line := range wrap(plain(s.effect), 90) {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Accepted without effect, since only a search engine needs them\n\n")
	for _, line := range wrap(strings.Join(ignored, ", "), 94) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Markdown prints the same settings as tables, one for each section.
func Markdown(w io.Writer) error {
	var b bytes.Buffer
	for i, section := range sections {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "**%s**\n\n| setting | default | value | effect |\n| --- | --- | --- | --- |\n", section.title)
		for _, s := range section.settings {
			shown := s.defaultText()
			if s.shown == "" && s.preset != "" {
				shown = "`" + shown + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, shown, s.kind, s.effect)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s *setting) defaultText() string {
	switch {
	case s.shown != "":
		return s.shown
	case s.preset != "":
		return s.preset
	}
	return "none"
}

func plain(markdown string) string { return strings.ReplaceAll(markdown, "`", "") }

// wrap breaks text at blanks into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
