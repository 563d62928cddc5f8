"""What comes in and what goes out."""

import uuid
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, EmailStr, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Envelope(Model, Generic[T]):
    success: bool = True
    message: str
    data: T


class Registration(Model):
    name: str = Field(min_length=2)
    email: EmailStr
    password: str = Field(min_length=8)
    organisation_name: str = Field(min_length=2)


class Credentials(Model):
    email: EmailStr
    password: str


class Refreshing(Model):
    refresh_token: str


class Invitation(Model):
    email: EmailStr
    role: Literal["ADMIN", "MEMBER"] = "MEMBER"


class Acceptance(Model):
    token: str
    name: str = Field(min_length=2)
    password: str = Field(min_length=8)


class Message(Model):
    message: str = Field(min_length=1)


class Tokens(Model):
    access_token: str
    refresh_token: str


class Account(Model):
    id: uuid.UUID
    name: str
    email: str
    role: str


class OwnOrganisation(Model):
    id: uuid.UUID
    name: str
    slug: str
    subscription_plan: str


class SignedIn(Tokens):
    user: Account
    organisation: OwnOrganisation


class OrganisationOut(OwnOrganisation):
    member_count: int
    member_limit: int | None
    created_at: datetime


class Member(Account):
    organisation_id: uuid.UUID
    created_at: datetime
    updated_at: datetime


class Joined(Account):
    organisation_id: uuid.UUID


class InviteOut(Model):
    id: uuid.UUID
    email: str
    role: str
    token: str
    expires_at: datetime


class Person(Model):
    id: uuid.UUID
    name: str
    email: str


class ActivityOut(Model):
    id: uuid.UUID
    organisation_id: uuid.UUID
    type: str
    message: str
    metadata: dict[str, Any] = Field(validation_alias="details")
    created_at: datetime
    actor: Person | None
    target: Person | None
