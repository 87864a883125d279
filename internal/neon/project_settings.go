package neon

// ProjectSettings are what a project is created with, by the names of Neon's API. What is nil is Neon's choice.
type ProjectSettings struct {
	// Compute is for the project's first compute, and for those that branches get later.
	Compute ComputeSettings `json:"default_endpoint_settings,omitzero"`
	// HistorySeconds is how far back its branches can be restored, or branched from.
	HistorySeconds *int64 `json:"history_retention_seconds,omitempty"`
	Settings       struct {
		Quota ProjectQuota `json:"quota,omitzero"`
	} `json:"settings,omitzero"`
}

// ComputeSettings are the sizes, in compute units, between which a compute is scaled, and when it is suspended.
type ComputeSettings struct {
	MinUnits *float64 `json:"autoscaling_limit_min_cu,omitempty"`
	MaxUnits *float64 `json:"autoscaling_limit_max_cu,omitempty"`
	// SuspendSeconds is how long after its last use a compute is suspended: 0 is Neon's default, -1 is never.
	SuspendSeconds *int64 `json:"suspend_timeout_seconds,omitempty"`
}

// ProjectQuota is what a project may use in a billing period, and how large each of its branches may be; 0 is no limit.
type ProjectQuota struct {
	ActiveTimeSeconds  *int64 `json:"active_time_seconds,omitempty"`
	ComputeTimeSeconds *int64 `json:"compute_time_seconds,omitempty"`
	WrittenDataBytes   *int64 `json:"written_data_bytes,omitempty"`
	DataTransferBytes  *int64 `json:"data_transfer_bytes,omitempty"`
	LogicalSizeBytes   *int64 `json:"logical_size_bytes,omitempty"`
}
