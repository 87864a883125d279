package neontest

import (
	"cmp"
	"net/http"
)

// endpointSettings are a compute's own, and the defaults of a project for the computes that it gets.
type endpointSettings struct {
	PgSettings     map[string]string `json:"pg_settings,omitempty"`
	MinCU          *float64          `json:"autoscaling_limit_min_cu,omitempty"`
	MaxCU          *float64          `json:"autoscaling_limit_max_cu,omitempty"`
	SuspendSeconds *int              `json:"suspend_timeout_seconds,omitempty"`
}

// The sizes of a compute that is not told another one.
const (
	defaultMinCU = 0.25
	defaultMaxCU = 2.0
)

// mostRange is by how many compute units a compute is scaled at most.
const mostRange = 8

// check refuses what Neon or the plan does not allow. low and high are the sizes that are not given. The messages about
// sizes are not Neon's own, which are not known.
func (o *endpointSettings) check(plan *Plan, low, high float64) error {
	if t := o.SuspendSeconds; t != nil {
		switch {
		case *t < -1 || *t > 604800 || *t > 0 && *t < 60:
			return refuse(http.StatusBadRequest, "suspend_timeout_seconds must be -1, 0, or from 60 to 604800")
		case !plan.SuspendDelay:
			return refuse(http.StatusPreconditionFailed, "modifying the suspend interval is not permitted on this account")
		}
	}
	low, high = *cmp.Or(o.MinCU, &low), *cmp.Or(o.MaxCU, &high)
	switch {
	case low < 0.25 || high < low:
		return refuse(http.StatusBadRequest, "autoscaling limits must be at least 0.25, and the maximum not below "+
			"the minimum")
	case high-low > mostRange:
		return refuse(http.StatusBadRequest, "autoscaling limits must not differ by more than %d compute units", mostRange)
	case o.MaxCU != nil && high > plan.Units:
		return refuse(http.StatusUnprocessableEntity, "autoscaling_limit_max_cu exceeds the plan's maximum of %v", plan.Units)
	}
	return nil
}

// checkDefaults is check for a new project.
func (o *endpointSettings) checkDefaults(plan *Plan) error {
	if o == nil {
		return nil
	}
	return o.check(plan, defaultMinCU, max(defaultMaxCU, *cmp.Or(o.MinCU, new(defaultMinCU))))
}

// apply sets those that are given.
func (o *endpointSettings) apply(e *endpoint) {
	if o == nil {
		return
	}
	e.suspendSeconds = *cmp.Or(o.SuspendSeconds, &e.suspendSeconds)
	e.minCU = *cmp.Or(o.MinCU, &e.minCU)
	e.maxCU = *cmp.Or(o.MaxCU, new(max(e.maxCU, e.minCU)))
}

// quotas are what a project may use in a billing period; 0 is no limit.
type quotas struct {
	ActiveTimeSeconds  *int64 `json:"active_time_seconds,omitempty"`
	ComputeTimeSeconds *int64 `json:"compute_time_seconds,omitempty"`
	WrittenDataBytes   *int64 `json:"written_data_bytes,omitempty"`
	DataTransferBytes  *int64 `json:"data_transfer_bytes,omitempty"`
	LogicalSizeBytes   *int64 `json:"logical_size_bytes,omitempty"`
}

func (q *quotas) check() error {
	for _, limit := range []*int64{
		q.ActiveTimeSeconds, q.ComputeTimeSeconds, q.WrittenDataBytes, q.DataTransferBytes, q.LogicalSizeBytes,
	} {
		if limit != nil && *limit < 0 {
			return refuse(http.StatusBadRequest, "request body has an error: a quota must be at least 0")
		}
	}
	return nil
}
