"""The URLs of signing in and out, of the second factor, and of the account page.

allauth finds its pages by the names that begin with `account_`, `mfa_` and `openid_connect_`. Other pages of
allauth (sign-up, e-mail addresses, password resets, linked accounts) have no URL here.
"""

from django.urls import path, re_path

from accounts.signing_in import views

urlpatterns = [
    path("sign-in", views.sign_in, name="sign-in"),
    path("sign-in/misar", views.start, name="sign-in-misar"),
    # Register this URL with the issuer: https://<our host>/sign-in/misar/callback
    re_path(r"^sign-in/(?P<provider_id>misar)/callback$", views.come_back, name="openid_connect_callback"),
    path("sign-in/staff", views.staff_sign_in, name="account_login"),
    path("sign-in/code", views.code, name="mfa_authenticate"),
    path("sign-in/closed", views.inactive, name="account_inactive"),
    path("sign-out", views.sign_out, name="sign-out"),
    path("signed-out", views.signed_out, name="signed-out"),
    path("account", views.account, name="account"),
    path("account/buyer", views.account_buyer, name="account-buyer"),
    path("account/second-factor", views.set_up, name="mfa_activate_totp"),
    path("account/recovery-codes", views.recovery_codes, name="mfa_view_recovery_codes"),
    path("account/recovery-codes/new", views.new_recovery_codes, name="mfa_generate_recovery_codes"),
    path("account/password", views.password_again, name="account_reauthenticate"),
    path("account/code", views.code_again, name="mfa_reauthenticate"),
]
