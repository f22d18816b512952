package latchkey

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Profile is what applications keep of a user.
type Profile struct {
	UID              string          `json:"uid"`
	Enabled          bool            `json:"enabled"`
	LastSynchronized int64           `json:"last_synchronized"` // milliseconds since 1970
	User             ProfileUser     `json:"user"`
	Labels           json.RawMessage `json:"labels"` // an object
	Data             json.RawMessage `json:"data"`   // an object; {} unless it was asked for
	Doc              *ProfileVersion `json:"_doc,omitempty"`
}

// ProfileUser is the user of a profile, as of the last activation.
type ProfileUser struct {
	Username string   `json:"username"`
	Roles    []string `json:"roles"`
	Realm    string   `json:"realm_name"`
	Email    *string  `json:"email,omitempty"`
	FullName *string  `json:"full_name,omitempty"`
}

// ProfileVersion says which change of a profile an answer shows.
type ProfileVersion struct {
	PrimaryTerm int `json:"_primary_term"`
	SeqNo       int `json:"_seq_no"`
}

// GetProfilesResponse is the answer to GET /_security/profile/{uids}: those that
// there are. Errors names the others.
type GetProfilesResponse struct {
	Profiles []Profile   `json:"profiles"`
	Errors   *BulkErrors `json:"errors,omitempty"`
}

// ActivateProfileRequest proves whose profile is activated: with the grant type
// password, or access_token. It prints without its secrets.
type ActivateProfileRequest struct {
	GrantType   string `json:"grant_type"`
	Username    string `json:"username,omitempty"`
	Password    string `json:"password,omitempty"`
	AccessToken string `json:"access_token,omitempty"`
}

func (r ActivateProfileRequest) hidden() any {
	type plain ActivateProfileRequest
	hide(&r.Password)
	hide(&r.AccessToken)
	return plain(r)
}

// Format prints the request without its secrets.
func (r ActivateProfileRequest) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the request without its secrets.
func (r ActivateProfileRequest) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// UpdateProfileRequest is merged into a profile. If is the version that the
// profile must have, or nil for any.
type UpdateProfileRequest struct {
	Labels json.RawMessage `json:"labels,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	If     *ProfileVersion `json:"-"`
}

// SuggestProfilesRequest asks for profiles by the beginnings of names.
type SuggestProfilesRequest struct {
	Name string       `json:"name,omitempty"`
	Size *int         `json:"size,omitempty"` // 10 if nil
	Data string       `json:"data,omitempty"` // keys, with commas between them, or *
	Hint *ProfileHint `json:"hint,omitempty"`
}

// ProfileHint says which profiles come first.
type ProfileHint struct {
	UIDs   []string            `json:"uids,omitempty"`
	Labels map[string][]string `json:"labels,omitempty"` // one key
}

// SuggestProfilesResponse is the answer to POST /_security/profile/_suggest.
type SuggestProfilesResponse struct {
	Took     int64        `json:"took"` // milliseconds
	Total    ProfileTotal `json:"total"`
	Profiles []Profile    `json:"profiles"`
}

// ProfileTotal is how many profiles match.
type ProfileTotal struct {
	Value    int    `json:"value"`
	Relation string `json:"relation"`
}

// ProfilesWithPrivilegesResponse is the answer to POST /_security/profile/_has_privileges.
type ProfilesWithPrivilegesResponse struct {
	UIDs   []string    `json:"has_privilege_uids"`
	Errors *BulkErrors `json:"errors,omitempty"`
}

const profilesPath = "/_security/profile"

// ActivateProfile makes the profile of a user, or brings it up to date.
func (c *Client) ActivateProfile(ctx context.Context, req ActivateProfileRequest) (Profile, error) {
	return call[Profile](ctx, c, request{method: http.MethodPost, path: profilesPath + "/_activate", body: req})
}

// GetProfiles returns profiles by uid, with the given keys of their data, or all for "*".
func (c *Client) GetProfiles(ctx context.Context, uids []string, data ...string) (GetProfilesResponse, error) {
	if len(uids) == 0 {
		return GetProfilesResponse{}, needName("list of profiles", "")
	}
	for _, uid := range uids {
		if err := needName("uid of a profile", uid); err != nil {
			return GetProfilesResponse{}, err
		}
	}
	r := request{method: http.MethodGet, path: under(profilesPath, uids...)}
	if len(data) > 0 {
		r.query = url.Values{"data": {strings.Join(data, ",")}}
	}
	return call[GetProfilesResponse](ctx, c, r)
}

// UpdateProfile merges labels and data into a profile.
func (c *Client) UpdateProfile(ctx context.Context, uid string, req UpdateProfileRequest) error {
	if err := needName("uid of a profile", uid); err != nil {
		return err
	}
	r := request{method: http.MethodPut, path: under(profilesPath, uid) + "/_data", body: req}
	if req.If != nil {
		r.query = url.Values{"if_seq_no": {strconv.Itoa(req.If.SeqNo)}, "if_primary_term": {strconv.Itoa(req.If.PrimaryTerm)}}
	}
	_, err := call[Acknowledged](ctx, c, r)
	return err
}

// EnableProfile has a profile suggested again.
func (c *Client) EnableProfile(ctx context.Context, uid string) error {
	return c.switchProfile(ctx, uid, "/_enable")
}

// DisableProfile has a profile not suggested any more.
func (c *Client) DisableProfile(ctx context.Context, uid string) error {
	return c.switchProfile(ctx, uid, "/_disable")
}

func (c *Client) switchProfile(ctx context.Context, uid, act string) error {
	if err := needName("uid of a profile", uid); err != nil {
		return err
	}
	_, err := call[Acknowledged](ctx, c, request{method: http.MethodPut, path: under(profilesPath, uid) + act})
	return err
}

// SuggestProfiles finds enabled profiles by the beginnings of names.
func (c *Client) SuggestProfiles(ctx context.Context, req SuggestProfilesRequest) (SuggestProfilesResponse, error) {
	return call[SuggestProfilesResponse](ctx, c, request{method: http.MethodPost, path: profilesPath + "/_suggest", body: req})
}

// ProfilesWithPrivileges returns those of the profiles whose users hold all of the privileges.
func (c *Client) ProfilesWithPrivileges(ctx context.Context, uids []string, privileges HasPrivilegesRequest) (ProfilesWithPrivilegesResponse, error) {
	body := struct {
		UIDs       []string             `json:"uids"`
		Privileges HasPrivilegesRequest `json:"privileges"`
	}{uids, privileges}
	return call[ProfilesWithPrivilegesResponse](ctx, c, request{method: http.MethodPost, path: profilesPath + "/_has_privileges", body: body})
}
