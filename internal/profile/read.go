package profile

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// maxUIDs bounds the profiles that one request may name.
const maxUIDs = 1000

// Get returns those of the profiles that exist, in the order asked for.
func (s *Service) Get(ctx context.Context, by *access.Caller, uids []string) ([]Profile, error) {
	if len(uids) > maxUIDs {
		return nil, fault.New(fault.Argument, "at most [%d] profiles can be named, but there are [%d]", maxUIDs, len(uids))
	}
	if err := by.Authorize(access.Request{Action: actions + "get"}); err != nil {
		return nil, err
	}
	return s.named(ctx, uids)
}

func (s *Service) named(ctx context.Context, uids []string) ([]Profile, error) {
	found, err := s.store.Profiles(ctx, uids)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int, len(uids))
	for i, uid := range uids {
		if _, ok := at[uid]; !ok {
			at[uid] = i
		}
	}
	slices.SortFunc(found, func(a, b Profile) int { return cmp.Compare(at[a.UID], at[b.UID]) })
	return found, nil
}

// UIDs returns the uid of each owner's profile, "" for those who have none.
func (s *Service) UIDs(ctx context.Context, owners []Owner) ([]string, error) {
	uids := make([]string, len(owners))
	for i, o := range owners {
		uids[i] = o.uid()
	}
	there := map[string]bool{}
	for chunk := range slices.Chunk(uids, maxUIDs) {
		found, err := s.store.Profiles(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			there[p.UID] = true
		}
	}
	for i, uid := range uids {
		if !there[uid] {
			uids[i] = ""
		}
	}
	return uids, nil
}

// Hint ranks profiles, and leaves none out.
type Hint struct {
	UIDs   []string
	Labels []Label
}

// Label is a label with the values that it may have. Its key is a path.
type Label struct {
	Key    string
	Values []string
}

// SuggestRequest asks for profiles whose user has a name like this.
type SuggestRequest struct {
	Name string
	Size int
	Hint *Hint
}

// Suggested is what was found: how many match, and the first of them.
type Suggested struct {
	Total    int
	Profiles []Profile
}

const maxSuggestions = 10_000

func (r SuggestRequest) problems() fault.Problems {
	var p fault.Problems
	if r.Size < 0 || r.Size > maxSuggestions {
		p.Add("[size] must be from [0] to [%d], but is [%d]", maxSuggestions, r.Size)
	}
	if len(r.Name) > maxSuggestions {
		p.Add("[name] is longer than [%d] bytes", maxSuggestions)
	}
	if r.Hint == nil {
		return p
	}
	if r.Hint.UIDs == nil && r.Hint.Labels == nil {
		p.Add("[hint] must hold [uids] or [labels]")
	}
	if r.Hint.UIDs != nil && len(r.Hint.UIDs) == 0 {
		p.Add("[uids] of [hint] must not be empty")
	}
	if len(r.Hint.UIDs) > maxUIDs {
		p.Add("[uids] of [hint] may hold at most [%d]", maxUIDs)
	}
	if r.Hint.Labels != nil && len(r.Hint.Labels) != 1 {
		p.Add("[labels] of [hint] must hold exactly one key, but holds [%d]", len(r.Hint.Labels))
	}
	for _, l := range r.Hint.Labels {
		if strings.Contains(l.Key, "*") {
			p.Add("the key [%s] of [labels] must not hold [*]", l.Key)
		}
		if len(l.Values) == 0 || slices.Contains(l.Values, "") {
			p.Add("the key [%s] of [labels] must have values, none of them empty", l.Key)
		}
	}
	return p
}

// Suggest finds enabled profiles of whose username, full name and email a word
// begins with each word of the name; the empty name finds all. First come those
// that the hint names, then those with its labels, then who was active last.
func (s *Service) Suggest(ctx context.Context, by *access.Caller, r SuggestRequest) (Suggested, error) {
	if err := r.problems().Err(fault.Invalid); err != nil {
		return Suggested{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "suggest"}); err != nil {
		return Suggested{}, err
	}
	all, err := s.store.EnabledProfiles(ctx)
	if err != nil {
		return Suggested{}, err
	}
	type ranked struct {
		Profile
		rank int
	}
	wanted := words(r.Name)
	var hits []ranked
	for _, p := range all {
		if !p.isCalled(wanted) {
			continue
		}
		rank, err := r.Hint.rank(p)
		if err != nil {
			return Suggested{}, err
		}
		hits = append(hits, ranked{p, rank})
	}
	slices.SortStableFunc(hits, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.rank, a.rank), b.SyncedAt.Compare(a.SyncedAt)) })
	found := Suggested{Total: len(hits)}
	for _, h := range hits[:min(r.Size, len(hits))] {
		found.Profiles = append(found.Profiles, h.Profile)
	}
	return found, nil
}

func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
}

func (p Profile) isCalled(wanted []string) bool {
	names := words(p.Username)
	for _, more := range []*string{p.FullName, p.Email} {
		if more != nil {
			names = append(names, words(*more)...)
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, w) }) {
			return false
		}
	}
	return true
}

func (h *Hint) rank(p Profile) (int, error) {
	if h == nil {
		return 0, nil
	}
	rank := 0
	if slices.Contains(h.UIDs, p.UID) {
		rank += 2
	}
	if len(h.Labels) > 0 {
		labels, err := xcontent.ParseOwn(p.Labels)
		if err != nil {
			return 0, err
		}
		l := h.Labels[0]
		if slices.ContainsFunc(query.Leaves(labels, l.Key), func(v string) bool { return slices.Contains(l.Values, v) }) {
			rank++
		}
	}
	return rank, nil
}

func (f Filter) choose(v xcontent.Value, path string) xcontent.Value {
	chosen := v
	chosen.Members = nil
	for _, m := range v.Members {
		at := path + m.Name
		switch {
		case slices.ContainsFunc(f, func(p string) bool { return pattern.Wildcards(p).Matches(at) }):
		case m.Value.Kind == xcontent.Object:
			if m.Value = f.choose(m.Value, at+"."); len(m.Value.Members) == 0 {
				continue
			}
		default:
			continue
		}
		chosen.Members = append(chosen.Members, m)
	}
	return chosen
}

// Holders is who holds privileges, and which of the profiles do not exist.
type Holders struct{ Held, Unknown []string }

// HasPrivileges returns those of the profiles whose user, with the roles of the
// last activation, passes all of check. Disabled profiles hold nothing.
func (s *Service) HasPrivileges(ctx context.Context, by *access.Caller, uids []string, check func(access.Permissions) (bool, error)) (Holders, error) {
	if len(uids) > maxUIDs {
		return Holders{}, fault.New(fault.Argument, "at most [%d] profiles can be named, but there are [%d]", maxUIDs, len(uids))
	}
	if err := by.Authorize(access.Request{Action: actions + "has_privileges"}); err != nil {
		return Holders{}, err
	}
	found, err := s.named(ctx, uids)
	if err != nil {
		return Holders{}, err
	}
	var h Holders
	for _, uid := range uids {
		if !slices.ContainsFunc(found, func(p Profile) bool { return p.UID == uid }) && !slices.Contains(h.Unknown, uid) {
			h.Unknown = append(h.Unknown, uid)
		}
	}
	known := map[access.Permissions]bool{} // many have the same roles, and a check is work
	for _, p := range found {
		if !p.Enabled {
			continue
		}
		if err := ctx.Err(); err != nil {
			return Holders{}, err
		}
		rights, err := s.roles.Permissions(ctx, p.Roles)
		if err != nil {
			return Holders{}, err
		}
		held, done := known[rights]
		if !done {
			if held, err = check(rights); err != nil {
				return Holders{}, err
			}
			known[rights] = held
		}
		if held {
			h.Held = append(h.Held, p.UID)
		}
	}
	return h, nil
}
