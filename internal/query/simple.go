package query

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/xcontent"
)

// simple reads simple_query_string: words with + (and), | (or), - (not), "..."
// (one word with blanks), * (beginning), ~ (nearly), parentheses and \. No field
// is split into words, so a word must be a whole value. Fields that nobody may ask
// about, or whose values cannot be meant, are passed over.
func (p *parser) simple(v xcontent.Value, _ int) (Node, error) {
	text := ""
	fields := []string{"*"}
	operator := "or"
	var flags string
	var least *xcontent.Value
	err := read("simple_query_string", v, aside(xcontent.Fields{
		"query":                xcontent.ToString(&text),
		"fields":               xcontent.ToStrings(&fields),
		"default_operator":     xcontent.ToString(&operator),
		"flags":                xcontent.ToString(&flags),
		"minimum_should_match": func(v xcontent.Value) error { least = &v; return scalar(v) },
	}, "analyzer", "lenient", "analyze_wildcard", "quote_field_suffix", "auto_generate_synonyms_phrase_query", "fuzzy_prefix_length",
		"fuzzy_max_expansions", "fuzzy_transpositions"))
	if err != nil {
		return nil, err
	}
	if _, ok := v.Get("query"); !ok {
		return nil, parsing(v.Line, v.Col, "[simple_query_string] needs a [query]")
	}
	operator = strings.ToLower(operator)
	if operator != "or" && operator != "and" {
		return nil, parsing(v.Line, v.Col, "[default_operator] is [or] or [and], but not ["+operator+"]")
	}
	s := &phrase{p: p, rest: text, or: operator == "or", names: p.allowed(fields), flags: strings.ToUpper(flags)}
	parts, joined := s.expression(0)
	if s.err != nil {
		return nil, s.err
	}
	if len(parts) == 0 || len(s.names) == 0 {
		return None{}, nil
	}
	enough := 1
	if least != nil && !joined {
		if enough, err = atLeast(*least, len(parts)); err != nil {
			return nil, err
		}
	}
	return Bool{Should: parts, Enough: enough}, nil
}

// allowed returns the fields that patterns of names, which may end with a boost, choose.
func (p *parser) allowed(patterns []string) []string {
	var names []string
	for _, text := range patterns[:min(len(patterns), maxClauses)] {
		name, _, _ := strings.Cut(text, "^")
		if _, ok := p.schema.find(name); ok {
			names = append(names, name)
			continue
		}
		if len(name) > maxPattern {
			continue
		}
		is := pattern.Wildcards(strings.ReplaceAll(name, "?", `\?`))
		for _, f := range p.schema {
			if strings.Contains(name, "*") && is.Matches(f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// phrase is a query string that is being read.
type phrase struct {
	p     *parser
	rest  string
	or    bool // what blanks mean
	names []string
	flags string
	err   error
}

// on reports whether an operator is switched on.
func (s *phrase) on(flag string) bool {
	return s.flags == "" || slices.ContainsFunc(strings.Split(s.flags, "|"), func(f string) bool {
		f = strings.TrimSpace(f)
		return f == flag || f == "ALL"
	})
}

// eat drops one of the operators from the front.
func (s *phrase) eat(op, flag string) bool {
	if !strings.HasPrefix(s.rest, op) || !s.on(flag) {
		return false
	}
	s.rest = s.rest[len(op):]
	return true
}

// expression reads to the end, or to a closing parenthesis that belongs to it.
// Operators count from left to right. As long as all of them are "or" the parts
// are apart; else (joined) there is one.
func (s *phrase) expression(depth int) (parts []Node, joined bool) {
	and, given := !s.or, false
	for s.err == nil {
		s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace)
		switch {
		case s.rest == "":
			return parts, joined
		case depth > 0 && s.eat(")", "PRECEDENCE"):
			return parts, joined
		case s.eat("+", "AND"):
			and, given = true, true
			continue
		case s.eat("|", "OR"):
			and, given = false, true
			continue
		case depth == 0 && s.eat(")", "PRECEDENCE"):
			continue
		}
		if !given {
			and = !s.or
		}
		n := s.item(depth)
		given = false
		switch {
		case n == nil:
		case and && len(parts) > 0:
			if len(parts) > 1 {
				s.p.turns++
			}
			if s.p.turns > maxTurns {
				s.err = fault.New(fault.Argument, "the operators of query strings may turn from [|] to [+] at most [%d] times", maxTurns)
			}
			parts, joined = []Node{bothOf(anyOf(parts), n)}, true
		default:
			parts = append(parts, n)
		}
	}
	return parts, joined
}

// item reads a word or an expression in parentheses, with the signs before it.
func (s *phrase) item(depth int) Node {
	not := false
	for s.eat("-", "NOT") {
		not = !not
	}
	var n Node
	switch s.p.clauses++; {
	case s.p.clauses > maxClauses:
		s.err = fault.New(fault.Argument, "a search may have at most [%d] clauses", maxClauses)
		return nil
	case depth > maxDepth:
		s.err = fault.New(fault.Argument, "parentheses may be nested at most [%d] deep", maxDepth)
		return nil
	case s.eat("(", "PRECEDENCE"):
		parts, _ := s.expression(depth + 1)
		if len(parts) == 0 {
			return nil
		}
		n = anyOf(parts)
	default:
		if n = s.word(); n == nil {
			return nil
		}
	}
	if not {
		return noneOf(n)
	}
	return n
}

// word reads a word, or a text in quotes.
func (s *phrase) word() Node {
	var b strings.Builder
	quoted := strings.HasPrefix(s.rest, `"`) && strings.Contains(s.rest[1:], `"`) && s.eat(`"`, "PHRASE")
	open, near := false, 0
	for s.rest != "" {
		c, size := utf8.DecodeRuneInString(s.rest)
		if c == '\\' && len(s.rest) > 1 && s.on("ESCAPE") {
			_, size = utf8.DecodeRuneInString(s.rest[1:])
			b.WriteString(s.rest[1 : 1+size])
			s.rest = s.rest[1+size:]
			continue
		}
		if quoted && c == '"' {
			s.rest = s.rest[1:]
			break
		}
		if !quoted && (unicode.IsSpace(c) || c == '+' && s.on("AND") || c == '|' && s.on("OR") || (c == '(' || c == ')') && s.on("PRECEDENCE")) {
			break
		}
		if after := strings.TrimLeft(s.rest[1:], "0123456789"); !quoted && c == '~' && s.on("FUZZY") && (after == "" || unicode.IsSpace(rune(after[0]))) {
			near = 2
			if n, err := strconv.Atoi(s.rest[1 : len(s.rest)-len(after)]); err == nil {
				near = min(n, 2)
			}
			s.rest = after
			break
		}
		if next, _ := utf8.DecodeRuneInString(s.rest[size:]); !quoted && c == '*' && s.on("PREFIX") && (len(s.rest) == size || unicode.IsSpace(next) || strings.ContainsRune("+|()", next)) {
			open = true
			s.rest = s.rest[size:]
			break
		}
		b.WriteString(s.rest[:size])
		s.rest = s.rest[size:]
	}
	if quoted { // how far its words may be apart says nothing of one word
		s.rest = strings.TrimLeft(strings.TrimPrefix(s.rest, "~"), "0123456789")
	}
	if b.Len() == 0 && !open {
		return nil
	}
	return s.anywhere(b.String(), open, near)
}

// anywhere tests all fields for a word. One whose values it cannot be does not have it.
func (s *phrase) anywhere(word string, open bool, near int) Node {
	var nodes []Node
	for _, name := range s.names {
		f, _ := s.p.schema.find(name)
		texts := f.Type == Keyword || f.Type == Flat
		switch {
		case texts && open:
			nodes = append(nodes, Leaf{f, name, Prefix{Text: word}})
		case texts && near > 0:
			nodes = append(nodes, Leaf{f, name, Near{word, near}})
		case open:
		default:
			if t, err := s.p.equal(f, xcontent.Value{Kind: xcontent.String, Text: word}, false); err == nil {
				nodes = append(nodes, Leaf{f, name, t})
			}
		}
	}
	return anyOf(nodes)
}
