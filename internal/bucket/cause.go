package bucket

// Cause is the kind of a failure, by which whoever knows where the options came from finds a remedy.
type Cause string

// Why a request to the store failed.
const (
	NoSuchBucket        Cause = "no such bucket"
	KnownRegion         Cause = "bucket in another region" // see [Error.Region]
	OtherRegion         Cause = "bucket in an unknown region"
	BadCredentials      Cause = "credentials refused"
	ClockSkew           Cause = "clock skew"
	KeyUnusable         Cause = "encryption key unusable"
	UnknownStorageClass Cause = "unknown storage class"
	ObjectTooLarge      Cause = "object too large"
	StoreFull           Cause = "store full"
	ObjectExists        Cause = "object exists"
	KeyDenied           Cause = "permission for the encryption key missing"
	Denied              Cause = "permission missing" // see [Error.Permission]
	ServerError         Cause = "server error"
	UnknownAuthority    Cause = "certificate of an unknown authority"
	Unreachable         Cause = "unreachable"
)

// Why there are no credentials, or no region to use them in.
const (
	NoCredentials        Cause = "no credentials"
	UntrustedJob         Cause = "role does not trust the job" // see [Error.Audience]
	NoIdentityProvider   Cause = "no identity provider"        // see [Error.Audience]
	TokenExpired         Cause = "identity token expired"
	InvalidRoleSession   Cause = "invalid role session"
	TokenServiceInactive Cause = "token service inactive in the region"
	NoRegion             Cause = "no region"
)

// causes by the codes of AWS, MinIO and other stores.
var causes = map[string]Cause{
	"NoSuchBucket":                       NoSuchBucket,
	"PermanentRedirect":                  OtherRegion,
	"AuthorizationHeaderMalformed":       OtherRegion,
	"IllegalLocationConstraintException": OtherRegion,
	"InvalidAccessKeyId":                 BadCredentials,
	"SignatureDoesNotMatch":              BadCredentials,
	"ExpiredToken":                       BadCredentials,
	"InvalidToken":                       BadCredentials,
	"RequestTimeTooSkewed":               ClockSkew,
	"KMS.DisabledException":              KeyUnusable,
	"KMS.NotFoundException":              KeyUnusable,
	"KMS.KMSInvalidStateException":       KeyUnusable,
	"InvalidStorageClass":                UnknownStorageClass,
	"EntityTooLarge":                     ObjectTooLarge,
	"QuotaExceeded":                      StoreFull,
	"XMinioStorageFull":                  StoreFull,
	"InsufficientStorage":                StoreFull,
	"PreconditionFailed":                 ObjectExists,
}

// roleCauses are those of the token service's codes.
var roleCauses = map[string]Cause{
	"AccessDenied":            UntrustedJob,
	"InvalidIdentityToken":    NoIdentityProvider,
	"ExpiredTokenException":   TokenExpired,
	"ValidationError":         InvalidRoleSession,
	"InvalidParameterValue":   InvalidRoleSession,
	"RegionDisabledException": TokenServiceInactive,
}
