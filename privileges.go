package latchkey

// HasPrivilegesRequest is the body of POST /_security/user/_has_privileges.
type HasPrivilegesRequest struct {
	Cluster []string `json:"cluster,omitempty"`
}

// HasPrivilegesResponse says which of the requested privileges the user holds.
// The keys are the strings that were asked for.
type HasPrivilegesResponse struct {
	Username        string                                `json:"username"`
	HasAllRequested bool                                  `json:"has_all_requested"`
	Cluster         map[string]bool                       `json:"cluster"`
	Index           map[string]map[string]bool            `json:"index"`       // by name, then privilege
	Application     map[string]map[string]map[string]bool `json:"application"` // by application, resource, privilege
}
