"""Every error that a client can be answered with, as one small tree.

    TenantryError          500  status, code and message: what the envelope carries
    ├─ BadRequest          400
    ├─ Unauthorized        401
    ├─ Forbidden           403
    ├─ NotFound            404
    ├─ NotAllowed          405
    ├─ TooSlow             408
    ├─ Conflict            409
    ├─ Gone                410
    ├─ TooLarge            413
    ├─ Invalid             422  with `fields`
    ├─ TooMany             429
    ├─ HeadTooLarge        431
    └─ Unavailable         503

A leaf below one of them is one answer of the contract: its `code` is stable, its `message` is
for people and may be given at the place where it is raised.
"""

from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One field of the input that is wrong: `field` is its path (empty for the whole body)."""

    field: str
    message: str


class TenantryError(Exception):
    """An answer that is an error. A product raises kinds of its own: a class with a `status`, a
    stable `code` and a `message` that says what to do.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    message: str = "Something went wrong on our side"

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: tuple[FieldError, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        self.fields = fields
        self.headers = headers or {}
        super().__init__(self.message)


class BadRequest(TenantryError):
    """400: the request cannot be understood, or asks for what is so already."""

    status, code, message = 400, "BAD_REQUEST", "The request cannot be understood"


class Unauthorized(TenantryError):
    status, code, message = 401, "UNAUTHORIZED", "Invalid or expired access token"


class Forbidden(TenantryError):
    """403: whoever asks may not, or the plan does not allow it."""

    status, code = 403, "FORBIDDEN"
    message = "You do not have permission to perform this action"


class NotFound(TenantryError):
    """404: there is no such thing, for whoever asks."""

    status, code, message = 404, "NOT_FOUND", "There is nothing at this address"


class NotAllowed(TenantryError):
    status, code, message = 405, "METHOD_NOT_ALLOWED", "This address does not take that method"


class Conflict(TenantryError):
    """409: what is there stands against it."""

    status, code, message = 409, "CONFLICT", "This conflicts with what is there"


class Gone(TenantryError):
    """410: it was there, and is no more."""

    status, code, message = 410, "GONE", "This is no longer there"


class TooLarge(TenantryError):
    status, code, message = 413, "BODY_TOO_LARGE", "The body is larger than 1 MiB"


class TooSlow(TenantryError):
    status, code, message = 408, "BODY_TOO_SLOW", "The body did not arrive in time"


class HeadTooLarge(TenantryError):
    status, code, message = 431, "HEAD_TOO_LARGE", "The request's head is larger than 64 KiB"


class Invalid(TenantryError):
    """422: `fields` says what is wrong with each."""

    status, code, message = 422, "VALIDATION_FAILED", "Validation failed"


class TooMany(TenantryError):
    status, code = 429, "TOO_MANY_REQUESTS"
    message = "Too many requests, please slow down"


class Unavailable(TenantryError):
    status, code = 503, "UNAVAILABLE"
    message = "The service cannot reach its database right now; try again in a moment"


class MailNotConfigured(Unavailable):
    code = "MAIL_NOT_CONFIGURED"
    message = "This server sends no mail, so it cannot do that; ask whoever runs it to set SMTP_URL"


class TokenMissing(Unauthorized):
    code, message = "TOKEN_MISSING", "No token provided"


class TokenInvalid(Unauthorized):
    code, message = "TOKEN_INVALID", "Invalid or expired access token"


class CredentialsInvalid(Unauthorized):
    code, message = "CREDENTIALS_INVALID", "Invalid email or password"


class PasswordWrong(Forbidden):
    code, message = "PASSWORD_WRONG", "The password is wrong"


class LinkInvalid(NotFound):
    code = "LINK_INVALID"
    message = "This link is not valid, or has been used already; ask for a new one"


class LinkExpired(Gone):
    code, message = "LINK_EXPIRED", "This link has expired; ask for a new one"


class MailSentRecently(TooMany):
    code = "MAIL_SENT_RECENTLY"
    message = "We have only just sent you a mail; look for it, or try again a little later"


class EmailVerified(Conflict):
    code, message = "EMAIL_VERIFIED", "Your address is verified already"


class RefreshTokenInvalid(Unauthorized):
    code, message = "REFRESH_TOKEN_INVALID", "Invalid or expired refresh token"


class RefreshTokenMissing(BadRequest):
    code, message = "REFRESH_TOKEN_MISSING", "Refresh token is required"


class SecondFactorRequired(Forbidden):
    code = "SECOND_FACTOR_REQUIRED"
    message = (
        "This organisation asks for a second factor: add one to your account, or sign in with it"
    )


class SecondFactorInvalid(Unauthorized):
    code, message = "SECOND_FACTOR_INVALID", "This code or passkey is wrong, or has been used"


class SignInExpired(Unauthorized):
    code = "SIGN_IN_EXPIRED"
    message = "This sign-in took too long or too many tries; begin again with the password"


class PasskeyUnknown(Unauthorized):
    code = "PASSKEY_INVALID"
    message = "Nobody can sign in with this passkey here; sign in with the password"


class ProofWrong(Forbidden):
    code, message = "PROOF_WRONG", "This code or passkey is wrong, or has been used"


class StepUpRequired(Forbidden):
    code = "STEP_UP_REQUIRED"
    message = "This session has not given your second factor yet; give it first"


class ChallengeInvalid(BadRequest):
    code = "CHALLENGE_INVALID"
    message = "What was to be signed has expired or been used; ask for new options"


class PasskeyRefused(BadRequest):
    code, message = "PASSKEY_REFUSED", "This passkey cannot be verified"


class TotpUnconfirmed(BadRequest):
    code = "TOTP_UNCONFIRMED"
    message = "No authenticator app waits for its first code; begin again"


class NoSuchPasskey(NotFound):
    code, message = "PASSKEY_UNKNOWN", "You have no such passkey"


class NoTotp(NotFound):
    code, message = "TOTP_UNKNOWN", "No authenticator app belongs to your account"


class TotpExists(Conflict):
    code = "TOTP_EXISTS"
    message = "An authenticator app belongs to your account already; remove it first"


class PasskeyExists(Conflict):
    code, message = "PASSKEY_EXISTS", "This passkey belongs to an account already"


class TooManyPasskeys(Conflict):
    code, message = "TOO_MANY_PASSKEYS", "An account has 20 passkeys at most; remove one first"


class NoSecondFactor(Conflict):
    code, message = "NO_SECOND_FACTOR", "Your account has no second factor; add one first"


class FactorNeeded(Conflict):
    code = "SECOND_FACTOR_NEEDED"
    message = (
        "An organisation that you are in asks for a second factor; add another before you "
        "remove the last one"
    )


class PasskeysNotSetUp(Conflict):
    code = "PASSKEYS_NOT_SET_UP"
    message = (
        "Passkeys do not work on this server: its PUBLIC_URL must be its https address, "
        "with a name in place of a number"
    )


class NoOrganisation(Forbidden):
    code = "NO_ORGANISATION"
    message = "Your organisation has been deleted; its owner can still restore it"


class BeyondOwnPermissions(Forbidden):
    code = "BEYOND_OWN_PERMISSIONS"
    message = "You can give and take only the permissions that you have yourself"


class OwnersOnly(Forbidden):
    code = "OWNERS_ONLY"
    message = "Only an owner can change an admin's role or make somebody an owner"


class NotInPlan(Forbidden):
    code = "NOT_IN_PLAN"
    message = "The organisation's plan does not have this; change the plan first"


class PlanLimitReached(Forbidden):
    code = "PLAN_LIMIT_REACHED"
    message = "The organisation's plan does not allow more of this; change the plan first"


class QuotaReached(Forbidden):
    code = "QUOTA_REACHED"
    message = "The organisation's plan does not allow more of this for now"


class NotAMember(NotFound):
    code, message = "NOT_A_MEMBER", "You are in no such organisation"


class SessionUnknown(NotFound):
    code, message = "SESSION_UNKNOWN", "You have no such session; it may have ended already"


class EmailInUse(Conflict):
    code, message = "EMAIL_IN_USE", "Email already in use"


class AccountExists(Conflict):
    code, message = "ACCOUNT_EXISTS", "An account with this email already exists"


class AlreadyOnPlan(BadRequest):
    code, message = "ALREADY_ON_PLAN", "Organisation is already on the PRO plan"


class SeatsExceeded(Conflict):
    code = "SEATS_EXCEEDED"
    message = "The organisation has more members than the FREE plan allows"


class CustomRolesExist(Conflict):
    code = "CUSTOM_ROLES_EXIST"
    message = (
        "The FREE plan has no custom roles: give their members another role and delete them first"
    )


class RoleUnknown(NotFound):
    code, message = "ROLE_UNKNOWN", "There is no such custom role in this organisation"


class RoleNameTaken(Conflict):
    code, message = "ROLE_NAME_TAKEN", "A role has this name already"


class RoleInUse(Conflict):
    code = "ROLE_IN_USE"
    message = "The role is in use: give its members another one and revoke its invites first"


class TooManyRoles(Conflict):
    code, message = "TOO_MANY_ROLES", "An organisation can have 50 custom roles; delete one first"


class SlugTaken(Conflict):
    code, message = "SLUG_TAKEN", "Another organisation has this slug already"


class RestoreTokenUnknown(NotFound):
    code = "RESTORE_TOKEN_UNKNOWN"
    message = "This token is invalid or used, or the 30 days to restore the organisation are over"


class SeatLimitReached(Forbidden):
    code = "SEAT_LIMIT_REACHED"
    message = "Member limit reached for FREE plan. Please upgrade."


class AlreadyMember(Conflict):
    code, message = "ALREADY_MEMBER", "User already exists in this organisation"


class AlreadyInvited(Conflict):
    code, message = "ALREADY_INVITED", "Invite already sent to this email"


class InviteUnknown(NotFound):
    code, message = "INVITE_UNKNOWN", "Invalid or already used invite token"


class InviteExpired(Gone):
    code, message = "INVITE_EXPIRED", "Invite has expired"


class InviteForSomebodyElse(Forbidden):
    code = "INVITE_FOR_SOMEBODY_ELSE"
    message = (
        "This invite was sent to another address than that of the account you are signed in to"
    )


class InviteNotOpen(NotFound):
    code, message = "INVITE_NOT_OPEN", "This organisation has no such open invite"


class InviteRepeated(Conflict):
    code, message = "INVITE_REPEATED", "This address is in the list more than once"


class InviteSentLately(TooMany):
    code = "INVITE_SENT_LATELY"
    message = "This invite was sent a moment ago; it can be sent again in a minute"


class TooManyInvites(TooMany):
    code = "TOO_MANY_INVITES"
    message = "Too many invites were sent in the last 24 hours; try again tomorrow"


class CannotRemoveSelf(BadRequest):
    code = "CANNOT_REMOVE_SELF"
    message = "You cannot remove yourself from the organisation"


class CannotRemoveAdmin(Forbidden):
    code = "CANNOT_REMOVE_ADMIN"
    message = "You cannot remove an admin from the organisation"


class CannotChangeOwnRole(BadRequest):
    code, message = "CANNOT_CHANGE_OWN_ROLE", "You cannot change your own role"


class LastOwner(Conflict):
    code = "LAST_OWNER"
    message = (
        "You are the organisation's last owner: make somebody else an owner, or delete it instead"
    )


class MemberUnknown(NotFound):
    code, message = "MEMBER_UNKNOWN", "User not found in this organisation"


class TooManyConnections(TooMany):
    code = "TOO_MANY_CONNECTIONS"
    message = "Too many connections are open; close one first"


class OriginNotAllowed(Forbidden):
    code = "ORIGIN_NOT_ALLOWED"
    message = "Pages of this origin may not use this API. If they should, add it to CORS_ORIGINS."


class HeaderNotAllowed(Forbidden):
    code = "HEADER_NOT_ALLOWED"
    message = "Pages of another origin may not send this header"


class CrossSiteRequest(Forbidden):
    code = "CROSS_SITE_REQUEST"
    message = "Only pages of this server itself may have the refresh token as a cookie"


class TooManyAuthAttempts(TooMany):
    code = "TOO_MANY_AUTH_ATTEMPTS"
    message = "Too many auth attempts, please try again later"
