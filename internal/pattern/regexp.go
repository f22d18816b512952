package pattern

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxNesting = 1000

// regexpParser reads Lucene's syntax by recursive descent. Weakest first, the
// operators are | & concatenation, ? * + {n,m}, and ~ in front. Every node that it
// makes is charged to the budget; once that is spent it stops with errSpent.
type regexpParser struct {
	text   string
	at     int
	depth  int
	budget *budget
}

var errSpent = errors.New("it is too complex")

func parseRegexp(text string, b *budget) (*node, error) {
	if text == "" {
		return concat(), nil
	}
	p := &regexpParser{text: text, budget: b}
	n, err := p.union()
	if err == nil && p.at < len(text) {
		err = p.bad("[)] closes nothing")
	}
	return n, err
}

func (p *regexpParser) bad(format string, args ...any) error {
	return fmt.Errorf("%s at position %d", fmt.Sprintf(format, args...), p.at)
}

func (p *regexpParser) next() rune {
	r, size := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += size
	return r
}

func (p *regexpParser) peek(any string) bool {
	return p.at < len(p.text) && strings.IndexByte(any, p.text[p.at]) >= 0
}

func (p *regexpParser) take(c string) bool {
	if !p.peek(c) {
		return false
	}
	p.at++
	return true
}

func (p *regexpParser) union() (*node, error) { return p.infix("|", opUnion, p.intersection) }
func (p *regexpParser) intersection() (*node, error) {
	return p.infix("&", opIntersect, p.concatenation)
}

func (p *regexpParser) infix(sign string, op op, operand func() (*node, error)) (*node, error) {
	first, err := operand()
	if err != nil || !p.peek(sign) {
		return first, err
	}
	n := &node{op: op, sub: []*node{first}}
	for p.take(sign) {
		next, err := operand()
		if err != nil {
			return nil, err
		}
		n.sub = append(n.sub, next)
	}
	return n, nil
}

func (p *regexpParser) concatenation() (*node, error) {
	var parts []*node
	for first := true; first || p.at < len(p.text) && !p.peek(")|&"); first = false {
		n, err := p.repetition()
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	return concat(parts...), nil
}

func (p *regexpParser) repetition() (*node, error) {
	if !p.budget.spend(1) {
		return nil, errSpent
	}
	depth := p.depth
	defer func() { p.depth = depth }()
	n, err := p.complement()
	for err == nil && p.peek("?*+{") {
		if p.depth++; p.depth > maxNesting { // a** nests as well
			return nil, p.bad("it nests too deep")
		}
		switch p.next() {
		case '?':
			n = repeat(n, 0, 1)
		case '*':
			n = repeat(n, 0, -1)
		case '+':
			n = repeat(n, 1, -1)
		default:
			n, err = p.bounds(n)
		}
	}
	return n, err
}

// bounds reads what follows the { of {n}, {n,} and {n,m}.
func (p *regexpParser) bounds(n *node) (*node, error) {
	inner, _, closed := strings.Cut(p.text[p.at:], "}")
	if !closed {
		return nil, p.bad("[{] is not closed")
	}
	low, high, ranged := strings.Cut(inner, ",")
	least, err := strconv.ParseUint(low, 10, 16)
	most := int64(least)
	if err == nil && ranged {
		most = -1
		if high != "" {
			var m uint64
			m, err = strconv.ParseUint(high, 10, 16)
			most = int64(m)
		}
	}
	if err != nil || most >= 0 && most < int64(least) {
		return nil, p.bad("[{%s}] is not a number of repetitions", inner)
	}
	p.at += len(inner) + 1
	if most == 0 {
		return concat(), nil
	}
	return repeat(n, int(least), int(most)), nil
}

func (p *regexpParser) complement() (*node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.bad("it nests too deep")
	}
	defer func() { p.depth-- }()
	if p.take("~") {
		n, err := p.complement()
		return &node{op: opComplement, sub: []*node{n}}, err
	}
	return p.simple()
}

func (p *regexpParser) simple() (*node, error) {
	if p.at == len(p.text) {
		return nil, p.bad("something is missing")
	}
	if p.peek("?*+{|&)") {
		return nil, p.bad("[%c] has nothing before it", p.text[p.at])
	}
	switch r := p.next(); r {
	case '.':
		return anyCharacter(), nil
	case '#':
		return &node{op: opNothing}, nil
	case '@':
		return repeat(anyCharacter(), 0, -1), nil
	case '[':
		return p.class()
	case '<':
		return p.interval()
	case '"':
		return p.quoted()
	case '(':
		if p.take(")") {
			return concat(), nil
		}
		n, err := p.union()
		if err == nil && !p.take(")") {
			err = p.bad("[(] is not closed")
		}
		return n, err
	case '\\':
		ranges, err := p.escape()
		return &node{op: opSet, ranges: ranges}, err
	default:
		return set(r, r), nil
	}
}

func (p *regexpParser) quoted() (*node, error) {
	inner, _, closed := strings.Cut(p.text[p.at:], `"`)
	if !closed {
		return nil, p.bad("a quotation is not closed")
	}
	p.at += len(inner) + 1
	if !p.budget.spend(len(inner)) {
		return nil, errSpent
	}
	return literal(inner), nil
}

func literal(s string) *node {
	n := concat()
	for _, r := range s {
		n.sub = append(n.sub, set(r, r))
	}
	return n
}

// escape reads what follows a backslash: a class of characters or one that is
// taken literally.
func (p *regexpParser) escape() ([]edge, error) {
	if p.at == len(p.text) {
		return nil, p.bad("nothing follows the backslash")
	}
	digit := []edge{{lo: '0', hi: '9'}}
	space := []edge{{lo: '\t', hi: '\n'}, {lo: '\r', hi: '\r'}, {lo: ' ', hi: ' '}}
	word := []edge{{lo: '0', hi: '9'}, {lo: 'A', hi: 'Z'}, {lo: '_', hi: '_'}, {lo: 'a', hi: 'z'}}
	switch r := p.next(); r {
	case 'd':
		return digit, nil
	case 'D':
		return invert(digit), nil
	case 's':
		return space, nil
	case 'S':
		return invert(space), nil
	case 'w':
		return word, nil
	case 'W':
		return invert(word), nil
	default:
		return []edge{{lo: r, hi: r}}, nil
	}
}

func (p *regexpParser) class() (*node, error) {
	negative := p.take("^")
	var ranges []edge
	for first := true; first || !p.peek("]"); first = false {
		if p.at == len(p.text) {
			return nil, p.bad("[[] is not closed")
		}
		if p.peek("]") {
			return nil, p.bad("a class of characters is empty")
		}
		some, err := p.classItem()
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, some...)
	}
	p.at++
	if negative {
		ranges = invert(ranges)
	}
	return &node{op: opSet, ranges: ranges}, nil
}

func (p *regexpParser) classItem() ([]edge, error) {
	one := func() ([]edge, error) {
		if p.take(`\`) {
			return p.escape()
		}
		r := p.next()
		return []edge{{lo: r, hi: r}}, nil
	}
	from, err := one()
	single := len(from) == 1 && from[0].lo == from[0].hi
	if err != nil || !single || !p.peek("-") || strings.HasPrefix(p.text[p.at:], "-]") {
		return from, err
	}
	p.at++
	if p.at == len(p.text) {
		return nil, p.bad("[[] is not closed")
	}
	to, err := one()
	if err != nil {
		return nil, err
	}
	if len(to) != 1 || to[0].hi < from[0].lo {
		return nil, p.bad("a range of characters has no end or runs backwards")
	}
	return []edge{{lo: from[0].lo, hi: to[0].hi}}, nil
}

// interval reads what follows the < of <n-m>: the decimal numbers from n to m, in
// either order. Written with as many digits, they keep that width; else leading
// zeros are free.
func (p *regexpParser) interval() (*node, error) {
	inner, _, closed := strings.Cut(p.text[p.at:], ">")
	if !closed {
		return nil, p.bad("[<] is not closed")
	}
	low, high, _ := strings.Cut(inner, "-")
	from, err1 := strconv.ParseUint(low, 10, 31)
	to, err2 := strconv.ParseUint(high, 10, 31)
	if err1 != nil || err2 != nil || len(low) > 10 || len(high) > 10 {
		return nil, p.bad("[<%s>] is not an interval of two numbers", inner)
	}
	p.at += len(inner) + 1
	if from > to {
		from, to = to, from
	}
	if len(low) == len(high) {
		return p.between(pad(from, len(low)), pad(to, len(low)))
	}
	widths := unionOf()
	for first, width := uint64(0), 1; first <= to; width++ {
		last := uint64(math.Pow10(width)) - 1
		if from <= last {
			n, err := p.between(pad(max(from, first), width), pad(min(to, last), width))
			if err != nil {
				return nil, err
			}
			widths.sub = append(widths.sub, n)
		}
		first = last + 1
	}
	return concat(repeat(set('0', '0'), 0, -1), widths), nil
}

// between matches the numbers from low to high, which are as many digits long.
// It is charged before anything is built: for each digit it takes at most a
// branch below, one above and one between them.
func (p *regexpParser) between(low, high string) (*node, error) {
	if !p.budget.spend(16 * len(low)) {
		return nil, errSpent
	}
	return between(low, high), nil
}
