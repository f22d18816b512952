package sqlstore

import (
	"fmt"
	"strings"

	"latchkey/internal/query"
)

// searchIn completes a search that reads columns of the keys, with the tables that
// it needs: engines look into those that it does not.
func searchIn(columns, where string) string {
	text := `SELECT ` + columns + ` FROM api_keys`
	for _, also := range []struct{ table, column string }{{"invalidated_keys", "invalidated_at"}, {"api_key_uses", "used_at"}} {
		if strings.Contains(columns, also.column) || strings.Contains(where, also.column) {
			text += ` LEFT JOIN ` + also.table + ` ON ` + also.table + `.key_id = id`
		}
	}
	return text + ` WHERE ` + where
}

// keyColumn is where the values of a field are.
type keyColumn struct {
	name string
	none bool // it may be NULL: there is no value
}

var keyColumns = map[string]keyColumn{
	"name":         {name: "name"},
	"type":         {name: "type"},
	"username":     {name: "username"},
	"realm_name":   {name: "realm"},
	"creation":     {name: "created_at"},
	"expiration":   {name: "expires_at", none: true},
	"invalidation": {name: "invalidated_at", none: true},
	"invalidated":  {name: "CASE WHEN invalidated_at IS NULL THEN CAST(0 AS BIGINT) ELSE 1 END"},
	"last_used":    {name: "used_at", none: true},
	"metadata":     {name: "metadata"},
}

// clause is a condition in SQL. It is true or false, and never NULL.
type clause struct {
	text  string
	exact bool // false: it is also true of keys that do not match
}

var (
	anyKey = clause{"1 = 1", true}
	noKey  = clause{"1 = 0", true}
	unsaid = clause{"1 = 1", false} // SQL has no words for it that mean the same everywhere
)

// keyClauses translates what package query means. It may say too little, so that
// more keys are chosen than match, and never too much.
type keyClauses struct {
	args    []any
	dialect *dialect
}

// maxClauseArgs bounds the placeholders of one search: engines do.
const maxClauseArgs = 20_000

// mark notes an argument and returns its placeholder.
func (c *keyClauses) mark(arg any) string {
	c.args = append(c.args, arg)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *keyClauses) node(n query.Node) clause {
	switch n := n.(type) {
	case query.All:
		return anyKey
	case query.None:
		return noKey
	case query.IDs:
		return c.oneOf("id", n)
	case query.Leaf:
		return c.leaf(n)
	case query.Bool:
		return c.boolean(n)
	}
	return unsaid
}

func (c *keyClauses) boolean(n query.Bool) clause {
	first := len(c.args)
	var parts []string
	exact := true
	for _, m := range n.Must {
		part := c.node(m)
		parts = append(parts, part.text)
		exact = exact && part.exact
	}
	for _, m := range n.MustNot {
		before := len(c.args)
		part := c.node(m)
		if !part.exact { // too many keys there would be too few here
			c.args = c.args[:before]
			exact = false
			continue
		}
		parts = append(parts, "NOT "+part.text)
	}
	if n.Enough > 0 {
		var some []string
		for _, m := range n.Should {
			part := c.node(m)
			exact = exact && part.exact
			if n.Enough > 1 {
				part.text = "CASE WHEN " + part.text + " THEN 1 ELSE 0 END"
			}
			some = append(some, part.text)
		}
		switch {
		case n.Enough > len(some):
			c.args = c.args[:first]
			return noKey
		case n.Enough == 1:
			parts = append(parts, balanced(some, " OR "))
		default:
			parts = append(parts, fmt.Sprintf("%s >= %d", balanced(some, " + "), n.Enough))
		}
	}
	if len(parts) == 0 {
		return clause{anyKey.text, exact}
	}
	return clause{balanced(parts, " AND "), exact}
}

// balanced joins parts so that the depth of the expression, which engines bound,
// grows with the logarithm of their number.
func balanced(parts []string, operator string) string {
	switch len(parts) {
	case 1:
		return "(" + parts[0] + ")"
	case 2:
		return "((" + parts[0] + ")" + operator + "(" + parts[1] + "))"
	}
	half := len(parts) / 2
	return "(" + balanced(parts[:half], operator) + operator + balanced(parts[half:], operator) + ")"
}

func (c *keyClauses) oneOf(column string, texts []string) clause {
	switch {
	case len(texts) == 0:
		return noKey
	case len(c.args)+len(texts) > maxClauseArgs:
		return unsaid
	}
	marks := make([]string, len(texts))
	for i, text := range texts {
		marks[i] = c.mark(text)
	}
	return clause{"(" + column + " IN (" + strings.Join(marks, ",") + "))", true}
}

func (c *keyClauses) leaf(l query.Leaf) clause {
	column, ok := keyColumns[l.Name]
	if !ok || len(c.args) >= maxClauseArgs {
		return unsaid
	}
	switch l.Field.Type {
	case query.Keyword:
		return c.text(column.name, l.Test)
	case query.Date:
		return c.date(column, l.Test)
	case query.Boolean:
		return c.flag(column.name, l.Test)
	}
	return unsaid
}

// text translates a test of a column that is never NULL and compares by bytes.
func (c *keyClauses) text(column string, test query.Test) clause {
	var parts []string
	exact := true
	switch t := test.(type) {
	case query.Exists:
	case query.OneOf:
		if t.Fold {
			return unsaid
		}
		return c.oneOf(column, t.Texts)
	case query.Prefix:
		if t.Fold {
			return unsaid
		}
		parts = append(parts, column+" >= "+c.mark(t.Text))
		if end, ok := after(t.Text); ok {
			parts = append(parts, column+" < "+c.mark(end))
		}
	case query.Wildcard:
		if t.Fold {
			return unsaid
		}
		exact = false // engines stumble over a NUL
		parts = append(parts, fmt.Sprintf(c.dialect.like, column, c.mark(c.dialect.wildcards(t.Pattern))))
	case query.Between:
		for _, bound := range []struct {
			text               *string
			exclude            bool
			excluding, include string
		}{{t.Low, t.ExcludeLow, " > ", " >= "}, {t.High, t.ExcludeHigh, " < ", " <= "}} {
			switch {
			case bound.text == nil:
			case bound.exclude:
				parts = append(parts, column+bound.excluding+c.mark(*bound.text))
			default:
				parts = append(parts, column+bound.include+c.mark(*bound.text))
			}
		}
	default:
		return unsaid
	}
	if len(parts) == 0 {
		return anyKey
	}
	return clause{balanced(parts, " AND "), exact}
}

func (c *keyClauses) date(column keyColumn, test query.Test) clause {
	there := clause{"(" + column.name + " IS NOT NULL)", true}
	switch t := test.(type) {
	case query.Exists:
		return there
	case query.Instants:
		if len(c.args)+2*len(t.Spans) > maxClauseArgs {
			return clause{there.text, false}
		}
		var spans []string
		for _, s := range t.Spans {
			spans = append(spans, column.name+" BETWEEN "+c.mark(s[0])+" AND "+c.mark(s[1]))
		}
		switch {
		case len(spans) == 0:
			return noKey
		case column.none:
			return clause{"(" + there.text + " AND " + balanced(spans, " OR ") + ")", true}
		}
		return clause{balanced(spans, " OR "), true}
	}
	return unsaid
}

// flag translates a test of what is 0 or 1, and for package query false or true.
func (c *keyClauses) flag(column string, test query.Test) clause {
	t, ok := test.(query.OneOf)
	if !ok {
		return unsaid
	}
	var values []string
	for _, text := range t.Texts {
		switch text {
		case "true":
			values = append(values, "1")
		case "false":
			values = append(values, "0")
		}
	}
	if len(values) == 0 {
		return noKey
	}
	return clause{"(" + column + " IN (" + strings.Join(values, ",") + "))", true}
}

// sortColumn returns what a key sorts by, in the values that package query compares.
// ok is false if SQL cannot sort so.
func (c *keyClauses) sortColumn(k query.SortKey) (expr string, ok bool) {
	column, ok := keyColumns[k.Name]
	switch {
	case !ok || k.Field.Type == query.Flat:
		return "", false
	case column.none:
		return "COALESCE(" + column.name + ", " + c.mark(k.Missing().Number) + ")", true
	}
	return column.name, true
}

// order translates a sort and what the page comes after. ok is false if SQL cannot sort so.
func (c *keyClauses) order(keys []query.SortKey, after []query.Value) (by []string, beyond string, ok bool) {
	columns := make([]string, len(keys))
	for i, k := range keys {
		if columns[i], ok = c.sortColumn(k); !ok {
			return nil, "", false
		}
		direction := ""
		if k.Desc {
			direction = " DESC"
		}
		by = append(by, columns[i]+direction)
	}
	if after == nil {
		return by, anyKey.text, true
	}
	first := len(c.args)
	for i := len(keys) - 1; i >= 0; i-- {
		k, v := keys[i], after[i]
		if v.None { // no key is without a value of a text
			c.args = c.args[:first]
			beyond = noKey.text
			if k.First {
				beyond = anyKey.text
			}
			continue
		}
		mark := c.mark(v.Number)
		if !k.Numeric() {
			c.args[len(c.args)-1] = v.Text
		}
		comparison := " > "
		if k.Desc {
			comparison = " < "
		}
		further := columns[i] + comparison + mark
		if beyond == "" { // the last key decides
			beyond = further
			continue
		}
		// The first half is for an index.
		beyond = fmt.Sprintf("(%s%s= %s AND (%s OR %s))", columns[i], strings.TrimRight(comparison, " "), mark, further, beyond)
	}
	return by, beyond, true
}
