package access

import (
	"strings"
	"testing"
)

func TestNameProblem(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"a", true}, {"a b", true}, {"~!@#$%^&*()[]{}", true}, {strings.Repeat("x", 507), true},
		{"", false}, {" a", false}, {"a ", false}, {"ü", false}, {"a\tb", false}, {"a\x7f", false}, {strings.Repeat("x", 508), false},
	}
	for _, tt := range tests {
		got := NameProblem("username", tt.name)
		if (got == "") != tt.ok || !tt.ok && (!strings.Contains(got, "username [") || !strings.Contains(got, "507") || !strings.Contains(got, "Basic Latin")) {
			t.Errorf("NameProblem(%.20q) = %q; want ok %v, else the limit and the allowed characters", tt.name, got, tt.ok)
		}
	}
}

func TestApplicationNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"app": true, "app-1": true, "kibana-.kibana": true, "myApp2": true, "app_x y": false, "app-a/b": false,
		"ap": false, "App": false, "1app": false, "": false, "a.b.c": false, "app-": false, "ap-xyz": false,
		"*": true, "a*": true, "kibana-*": true, "app-a*": true, "a*b": false, "app**": false, "*app": false, "A*": false, "app-a*b*": false,
	} {
		if got := applicationProblem(name); (got == "") != ok {
			t.Errorf("applicationProblem(%q) = %q; want ok %v", name, got, ok)
		}
	}
	for name, ok := range map[string]bool{"read": true, "*": true, "ALL": true, "data:write/*": true, "": false, "a b": false, "é": false} {
		if got := applicationPrivilegeProblem(name); (got == "") != ok {
			t.Errorf("applicationPrivilegeProblem(%q) = %q; want ok %v", name, got, ok)
		}
	}
}
