package latchkey

// ClearCacheResponse is the answer of every call that clears a cache.
type ClearCacheResponse struct {
	Nodes struct {
		Total      int `json:"total"`
		Successful int `json:"successful"`
		Failed     int `json:"failed"`
	} `json:"_nodes"`
	ClusterName string                 `json:"cluster_name"`
	ByID        map[string]ClearedNode `json:"nodes"`
}

// ClearedNode is a node that cleared its cache.
type ClearedNode struct {
	Name string `json:"name"`
}
