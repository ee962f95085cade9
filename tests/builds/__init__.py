"""Tests of the policy of builds."""
